"""The stack: what `cdk deploy` makes of promotions.yaml."""

import sys
from pathlib import Path

# `lambda` is a keyword and no package: what lies in it is found as it is in the function, at the top.
sys.path.insert(0, str(Path(__file__).parents[1] / "lambda"))
