"""Turns template.yaml into plain CloudFormation, as the service does at deployment, and that into what
the emulator takes. Knows the emulator's defects; nothing of what the functions do.

    python plain.py template.yaml      # prints the plain template as JSON
"""

import copy
import json
import re
import sys
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

Template = dict[str, Any]

# What the translator adds to the role of a function, by what wakes it.
MANAGED = ("AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole")
# Run by a container agent, a network or an edge, none of which the emulator has. A real relay stands
# in for the first two, `front.py` for the last.
NOT_EMULATED = ("AWS::ECS::", "AWS::ElasticLoadBalancingV2::", "AWS::EC2::", "AWS::CloudFront::")
# Refuses whoever comes without TLS, and to the emulator everybody does.
NEEDS_TLS = "DataOverTls"
# What a relay may do; on AWS its tasks have it.
RELAY_ROLE = "RelayRole"


def plain(path: Path, bucket: str = "artefacts") -> Template:
    """The template as `sam deploy` hands it over, its code at `s3://BUCKET/BINARY.zip`."""
    template = yaml_parse(path.read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{binary}.zip"
    arns = {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in MANAGED}
    session = boto3.session.Session(region_name="us-east-1")
    return Translator(arns, Parser(), None, session).translate(template, {})


def for_emulator(template: Template, account: str) -> Template:
    """The same stack, less what the emulator cannot run, and said the way it listens."""
    template = copy.deepcopy(template)
    resources = template["Resources"]
    for name in [n for n, r in resources.items() if r["Type"].startswith(NOT_EMULATED)]:
        del resources[name]
    del resources[NEEDS_TLS]
    outputs = template.get("Outputs", {})
    gone = [n for n, o in outputs.items() if not references(o) <= resources.keys() | PSEUDO]
    for name in gone:
        del outputs[name]
    _expand_routes(resources)
    # The relay of the test is no task of a container service: it asks for the role itself.
    trust = resources[RELAY_ROLE]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    trust.append({"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"})
    return template


def _expand_routes(resources: Template) -> None:
    """The emulator reads no OpenAPI body of a gateway: each path becomes a route and an integration."""
    for api, resource in list(resources.items()):
        if resource["Type"] != "AWS::ApiGatewayV2::Api":
            continue
        body = resource["Properties"].pop("Body")
        resource["Properties"] |= {"Name": api, "ProtocolType": "HTTP"}
        number = 0
        for path, verbs in body["paths"].items():
            for verb, operation in verbs.items():
                number += 1
                uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
                function = re.search(r"\$\{(\w+)\.Arn\}", uri).group(1)
                key = "$default" if path == "$default" else f"{verb.upper()} {path}"
                resources[f"{api}Integration{number}"] = {
                    "Type": "AWS::ApiGatewayV2::Integration",
                    "Properties": {
                        "ApiId": {"Ref": api},
                        "IntegrationType": "AWS_PROXY",
                        "IntegrationUri": {"Fn::GetAtt": [function, "Arn"]},
                        "PayloadFormatVersion": "2.0",
                    },
                }
                target = "integrations/${" + f"{api}Integration{number}" + "}"
                resources[f"{api}Route{number}"] = {
                    "Type": "AWS::ApiGatewayV2::Route",
                    "Properties": {
                        "ApiId": {"Ref": api},
                        "RouteKey": key,
                        "Target": {"Fn::Sub": target},
                    },
                }


PSEUDO = {"AWS::Region", "AWS::URLSuffix", "AWS::AccountId", "AWS::StackName", "AWS::Partition"}


def references(value: Any) -> set[str]:
    """Names of resources and parameters that a value leans on."""
    match value:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::Sub": str(text)}:
            return {found.split(".")[0] for found in re.findall(r"\$\{([\w:.]+)\}", text)}
        case dict():
            return set().union(*(references(each) for each in value.values()))
        case list():
            return set().union(*(references(each) for each in value))
    return set()


if __name__ == "__main__":
    json.dump(plain(Path(sys.argv[1])), sys.stdout, indent=1)
