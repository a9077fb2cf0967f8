"""Prints the JSON schema for editors: ``python -m worker.sites.declarative > worker/sites/declarative/schema.json``."""

import json
import sys

from worker.sites.declarative.schema import json_schema

if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
