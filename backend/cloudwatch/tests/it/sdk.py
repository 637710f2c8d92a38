"""What the AWS SDK for Python does with the endpoint that is its first argument; prints "all held" or fails."""

import sys
import time

import boto3
from botocore.config import Config

logs = boto3.client(
    "logs",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    config=Config(retries={"max_attempts": 1}),
)
now = int(time.time() * 1000)
group, stream = "/sdk/group", "stream one"

logs.create_log_group(logGroupName=group)
try:
    logs.create_log_group(logGroupName=group)
    raise SystemExit("a group was made twice")
except logs.exceptions.ResourceAlreadyExistsException:
    pass
logs.put_retention_policy(logGroupName=group, retentionInDays=14)
logs.create_log_stream(logGroupName=group, logStreamName=stream)
events = [
    {"timestamp": now + n, "message": '{"n": %d, "trace_id": "%032x"}' % (n, n)}
    for n in range(250)
]
answer = logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
assert "rejectedLogEventsInfo" not in answer, answer
answer = logs.put_log_events(
    logGroupName=group,
    logStreamName=stream,
    logEvents=[{"timestamp": now - 15 * 86_400_000, "message": "old"}],
)
assert answer["rejectedLogEventsInfo"]["tooOldLogEventEndIndex"] == 1, answer

pages = logs.get_paginator("filter_log_events").paginate(
    logGroupName=group, PaginationConfig={"PageSize": 100}
)
found = [event["message"] for page in pages for event in page["events"]]
assert found == [event["message"] for event in events], len(found)
answer = logs.filter_log_events(
    logGroupName=group, filterPattern='{ $.n >= 100 && $.n < 105 }'
)
assert [event["timestamp"] for event in answer["events"]] == [
    now + n for n in range(100, 105)
]
pattern = '{ $.trace_id = "%032x" }' % 42
answer = logs.filter_log_events(logGroupName=group, filterPattern=pattern)
assert len(answer["events"]) == 1 and len(answer["events"][0]["eventId"]) == 56

token, read = None, []
while True:
    more = {"nextToken": token} if token else {}
    page = logs.get_log_events(
        logGroupName=group, logStreamName=stream, startFromHead=True, limit=60, **more
    )
    read += page["events"]
    if page["nextForwardToken"] == token:
        break
    token = page["nextForwardToken"]
assert len(read) == 250, len(read)

described = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)
assert described["logStreams"][0]["lastEventTimestamp"] == now + 249, described
groups = [
    described["logGroupName"]
    for page in logs.get_paginator("describe_log_groups").paginate()
    for described in page["logGroups"]
]
assert groups == [group], groups
try:
    logs.filter_log_events(logGroupName=group, filterPattern="{ $.a")
    raise SystemExit("a bad pattern was taken")
except logs.exceptions.InvalidParameterException as error:
    assert "Invalid filter pattern" in str(error), error
try:
    logs.start_query(logGroupName=group, startTime=0, endTime=1, queryString="fields @message")
    raise SystemExit("a query was taken")
except logs.exceptions.ClientError as error:
    assert "Logs Insights is not offered" in str(error), error
logs.delete_log_stream(logGroupName=group, logStreamName=stream)
logs.delete_log_group(logGroupName=group)
try:
    logs.get_log_events(logGroupName=group, logStreamName=stream)
    raise SystemExit("a group was read that is gone")
except logs.exceptions.ResourceNotFoundException:
    pass
print("all held")
