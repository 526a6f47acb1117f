"""Turns template.yaml into plain CloudFormation, as the service does at deployment. Prints JSON.

Where the code lies is settled by `sam deploy`, which uploads what it built; here a name stands in.
"""

import json
import sys

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

import boto3

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())
template["Globals"]["Function"]["CodeUri"] = "s3://artefacts/bootstrap.zip"

managed = (
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
)
arns = {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in managed}
session = boto3.session.Session(region_name="us-east-1")
plain = Translator(arns, Parser(), None, session).translate(template, {})
json.dump(plain, sys.stdout, indent=1)
