"""The emulated cloud: started, given the stack, asked for its outputs and its functions' logs."""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from place import Failed, Place
from plain import Template, for_emulator, plain

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REGION = "us-east-1"
STACK = "framefair-test"
ARTEFACTS = "artefacts"
LOG_LINES = 60


class Cloud:
    def __init__(self, place: Place, port: int) -> None:
        self.place = place
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.calls = place.path("calls.jsonl")
        self.outputs: dict[str, str] = {}
        self.resources: dict[str, str] = {}
        self.template: Template = {}

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def start(self) -> None:
        environment = {
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "PYTHONPATH": str(HERE),
        }
        line = [sys.executable, str(HERE / "emulator.py"), str(self.calls)]
        self.place.start("emulator", line, environment)
        self.account = self.place.until("the emulator answers", self._account)

    def _account(self) -> str | None:
        try:
            return self.client("sts").get_caller_identity()["Account"]
        except (BotoCoreError, ClientError):
            return None

    def operator(self) -> dict[str, str]:
        """Credentials of the account itself, as a program finds them in its environment."""
        return {
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def keep_secret(self, name: str, text: str) -> str:
        return self.client("secretsmanager").create_secret(Name=name, SecretString=text)["ARN"]

    def deploy(self, zips: Path, parameters: dict[str, str]) -> None:
        """Uploads what cargo-lambda packed and creates the stack by CloudFormation."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=ARTEFACTS)
        for package in sorted(zips.glob("*/bootstrap.zip")):
            s3.upload_file(str(package), ARTEFACTS, f"{package.parent.name}.zip")
        self.template = for_emulator(plain(ROOT / "template.yaml", ARTEFACTS), self.account)
        s3.put_object(Bucket=ARTEFACTS, Key="template.json", Body=json.dumps(self.template))
        known = self.template["Parameters"]
        unknown = parameters.keys() - known.keys()
        if unknown:
            raise Failed(f"the template has no parameters {sorted(unknown)}")
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=STACK,
            TemplateURL=f"{self.url}/{ARTEFACTS}/template.json",
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        self.place.until("the stack is there", lambda: self._deployed(formation), 180)

    def _deployed(self, formation: Any) -> bool | None:
        stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        if stack["StackStatus"].endswith("_IN_PROGRESS") and "ROLLBACK" not in stack["StackStatus"]:
            return None
        events = formation.describe_stack_events(StackName=STACK)["StackEvents"]
        failed = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]
        if stack["StackStatus"] != "CREATE_COMPLETE":
            raise Failed(f"the stack is {stack['StackStatus']}:\n" + "\n".join(failed))
        self.outputs = {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}
        found = formation.describe_stack_resources(StackName=STACK)["StackResources"]
        self.resources = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in found}
        return True

    def calls_so_far(self) -> list[dict[str, Any]]:
        """Every call of a role that the emulator was asked to decide."""
        with self.calls.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.endswith("\n")]

    def refuse_denials(self) -> None:
        """A denied call is a hole in a role; nothing is to be gained by waiting."""
        for call in self.calls_so_far():
            if not call["allowed"]:
                raise Failed(f"{call['who']} may not {call['action']} on {call['resource']}")

    def refuse_dead_letters(self) -> None:
        """A message that was given up tells of a fault that no journey asked for."""
        sqs = self.client("sqs")
        for name, url in self.resources.items():
            if name.endswith("Dead"):
                said = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
                if said["Attributes"]["ApproximateNumberOfMessages"] != "0":
                    raise Failed(f"{name} holds {sqs.receive_message(QueueUrl=url)['Messages']}")

    def role(self, arn: str) -> dict[str, str]:
        """Credentials of a role, as a process finds them in its environment."""
        role = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="deploy-test")
        keys = role["Credentials"]
        return {
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def logs(self) -> str:
        """What the functions said last, in its order."""
        logs = self.client("logs")
        said: list[tuple[int, str]] = []
        try:
            for group in logs.describe_log_groups()["logGroups"]:
                found = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
                said += [(event["timestamp"], event["message"].rstrip()) for event in found]
        except (BotoCoreError, ClientError) as error:
            return f"the functions' logs cannot be read: {error}"
        platform = ("START ", "END ", "REPORT ")
        lines = [line for _, line in sorted(said) if not line.startswith(platform)]
        return "\n".join(lines[-LOG_LINES:])
