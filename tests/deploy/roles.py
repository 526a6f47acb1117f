"""What each role grants, held against what was done under it. Both are read from the emulator: a role as
CloudFormation made it, and the calls as its own policy evaluation was asked about them."""

import json
from fnmatch import fnmatchcase
from typing import Any

from cloud import STACK, Cloud
from place import Failed
from plain import RELAY_ROLE

Grant = tuple[str, str, str]
"""Role, action, resource; the last two as a policy spells them."""

TO_SAY_NO = "S3 asks for it to say that an object is not there"
JOINED = "the parts are gone: the same call joined them before"
SILENT = "a node that was not heard of for minutes is listed no more"
BLAMED = "Blender's own words blame the scene: who else could render it?"
UNUSED = "an upload that nobody used, a day later"

# Granted for what a run in which nothing goes wrong does not show. Each with what it is for.
FAULTS_ONLY: dict[Grant, str] = {
    ("MarketProviderComplete", "s3:ListBucket", "Data"): TO_SAY_NO,
    ("MarketRenderSubmit", "s3:ListBucket", "Data"): TO_SAY_NO,
    ("MarketUploadComplete", "s3:ListBucket", "Data"): TO_SAY_NO,
    ("WorkersVerify", "s3:ListBucket", "Data"): TO_SAY_NO,
    ("WorkersVerify", "s3:GetObject", "Data/scenes/*"): "all frames of a file's own range are alike",
    ("MarketUploadComplete", "s3:GetObject", "Data/scenes/*"): JOINED,
    ("MarketUploadComplete", "s3:GetObject", "Data/uploads/*"): JOINED,
    ("MarketUploadCreate", "s3:AbortMultipartUpload", "Data/scenes/*"): "one request came twice at once",
    ("MarketUploadCreate", "s3:AbortMultipartUpload", "Data/uploads/*"): "one request came twice at once",
    ("MarketProviderFailed", "sqs:SendMessage", "payouts"): "the last attempt failed: the client is refunded",
    ("MarketProviderFailed", "dynamodb:BatchGetItem", "Table"): BLAMED,
    ("MarketProviderFailed", "dynamodb:Query", "Table/index/ByState"): BLAMED,
    ("MarketProviderRegister", "sqs:SendMessage", "relay-*"): "somebody else stood under the wallet",
    ("MarketRenderCancel", "sqs:SendMessage", "relay-*"): "the job had just been leased",
    ("MarketRenderCancel", "dynamodb:GetItem", "Table"): "so it had, and its node is to be free again",
    ("CreatorJobDispatch", "dynamodb:DeleteItem", "Table"): SILENT,
    ("WorkersDispatch", "dynamodb:DeleteItem", "Table"): SILENT,
    ("CreatorNodeHeartbeat", "dynamodb:PutItem", "Table"): "a node that was silent is listed again",
    ("CreatorNodeRegister", "dynamodb:DeleteItem", "Table"): "a node that can do less than it said before",
    ("CreatorJobCancel", "sqs:SendMessage", "dispatch"): "another job waits for the place",
    ("WorkersDispatch", "sqs:SendMessage", "dispatch"): "the hint came before the job may be tried again",
    ("WorkersDispatch", "sqs:SendMessage", "payouts"): "nobody is left who could render it",
    ("WorkersSweeper", "dynamodb:PutItem", "Table"): "a due job gets its next date, or ends",
    ("WorkersSweeper", "dynamodb:UpdateItem", "Table"): "a payment of the last second is counted",
    ("WorkersSweeper", "s3:DeleteObject", "Data/scenes/*"): "the scene of a quote that was never paid",
    ("WorkersSweeper", "s3:DeleteObject", "Data/staging/*"): "what was staged for a job taken back unpaid",
    ("WorkersSweeper", "dynamodb:DeleteItem", "Table"): UNUSED,
    ("WorkersSweeper", "s3:AbortMultipartUpload", "Data/scenes/*"): UNUSED,
    ("WorkersSweeper", "s3:AbortMultipartUpload", "Data/uploads/*"): UNUSED,
    ("WorkersSweeper", "s3:DeleteObject", "Data/uploads/*"): UNUSED,
    ("WorkersSweeper", "sqs:SendMessage", "dispatch"): "the hint was lost",
    ("WorkersSweeper", "sqs:SendMessage", "payouts"): "the hint was lost",
    ("WorkersSweeper", "sqs:SendMessage", "push"): "the hint was lost",
    ("WorkersSweeper", "sqs:SendMessage", "relay-*"): "the hint was lost",
    (RELAY_ROLE, "s3:GetObject", "Data/uploads/*"): "a creator's payload that is no scene",
    (RELAY_ROLE, "sqs:SendMessage", "dispatch"): "a node gave its task back, or is gone",
    (RELAY_ROLE, "sqs:SendMessage", "relay-*"): "so it did, and hears that it may go",
    (RELAY_ROLE, "sqs:ChangeMessageVisibility", "push"): "a scene that takes long to send",
    (RELAY_ROLE, "sqs:SendMessage", "payouts"): "the last attempt failed: the client is refunded",
}


def compare(cloud: Cloud) -> None:
    granted = set(grants(cloud))
    used = {
        (role_of(call["who"]), call["action"], short(cloud, call["resource"]))
        for call in cloud.calls_so_far()
    }
    idle = {grant for grant in granted if not any(covers(grant, use) for use in used)}
    wild = {use for use in used if not any(covers(grant, use) for grant in granted)}
    said = [f"{grant} is granted and was not used" for grant in sorted(idle - FAULTS_ONLY.keys())]
    said += [f"{use} was used and is granted by no statement of the template" for use in sorted(wild)]
    said += [f"{grant} is excused and not granted" for grant in sorted(FAULTS_ONLY.keys() - granted)]
    if said:
        raise Failed("roles and what was done under them differ:\n  " + "\n  ".join(said))
    print(f"deploy: {len(granted)} grants, {len(granted - idle)} used, {len(idle)} for faults alone")


def grants(cloud: Cloud) -> list[Grant]:
    """What the template itself grants to functions and to the relay. What the translator adds, logs and
    the reading of queues, is used by the Lambda service and not by a function."""
    iam = cloud.client("iam")
    found = []
    for name, resource in cloud.template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role" or "scheduler.amazonaws.com" in json.dumps(resource):
            continue
        role = cloud.resources[name]
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for statement in document["Statement"]:
                for action in listed(statement["Action"]):
                    for resource in listed(statement["Resource"]):
                        found.append((of_function(name), action, short(cloud, resource)))
    return found


def covers(grant: Grant, use: Grant) -> bool:
    return grant[:2] == use[:2] and fnmatchcase(use[2], grant[2])


def role_of(who: str) -> str:
    """`arn:aws:sts::ACCOUNT:assumed-role/STACK-NAME-ID/SESSION` as the name in the template."""
    return of_function(who.split("/")[1].removeprefix(f"{STACK}-").rsplit("-", 1)[0])


def of_function(role: str) -> str:
    return role if role == RELAY_ROLE else role.removesuffix("Role")


def short(cloud: Cloud, resource: str) -> str:
    """An ARN by the names of the template."""
    name = resource.split(":", 5)[5]
    table, bucket = cloud.resources["Table"], cloud.resources["Data"]
    name = name.removeprefix(f"{STACK}-") if ":sqs:" in resource else name
    if ":secretsmanager:" in resource:
        return "KeysSecret"
    return name.replace(f"table/{table}", "Table").replace(bucket, "Data")


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
