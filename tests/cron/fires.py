"""Answers with cronsim's instants, for the test that compares them with ours.

Each line of standard input is a JSON array [expression, zone, start, count], where start is in seconds since 1970. Each
line of standard output is the JSON array of the next instants in seconds, or the text of cronsim's error.
"""

import json
import sys
from datetime import datetime, timezone
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


def fires(expression, zone, start, count):
    zone = timezone.utc if zone == "UTC" else ZoneInfo(zone)
    begin = datetime.fromtimestamp(start, zone)
    try:
        return [int(fire.timestamp()) for fire in islice(CronSim(expression, begin), count)]
    except CronSimError as error:
        return str(error)
    except OverflowError:
        return "no date before the year 10000"


for line in sys.stdin:
    print(json.dumps(fires(*json.loads(line))))
