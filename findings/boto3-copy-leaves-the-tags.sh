#!/bin/sh
# boto3 1.44.8, client.copy() of an object within S3, as when a clip is moved to the folder of those to be kept: up to 8 MB it
# comes with its metadata and its tags. From 8 MB on it is copied in parts, and the tags are not there. Metadata and content
# type are carried over in either case, so that it looks as if all were; and rules of a bucket that go by tags (delete after 30
# days unless keep=yes, who may read) treat the long clips otherwise than the short ones. ExtraArgs={"Tagging": ...} helps.
#
# Seen (size in MB: content type, metadata, tags of the copy; server: moto 5.2.5):
#   7: video/mp4, {'camera': 'stall'}, {'keep': 'yes'}
#   9: video/mp4, {'camera': 'stall'}, {}
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.8 "moto[s3]==5.2.5"
AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - <<'PYTHON'
import io

import boto3
import moto

EXTRA = {"Metadata": {"camera": "stall"}, "ContentType": "video/mp4", "Tagging": "keep=yes"}
ANSWER = "video/mp4", {"camera": "stall"}


def described(client, key: str) -> tuple:
    head = client.head_object(Bucket="clips", Key=key)
    tags = client.get_object_tagging(Bucket="clips", Key=key)["TagSet"]
    return head["ContentType"], head["Metadata"], {tag["Key"]: tag["Value"] for tag in tags}


with moto.mock_aws():
    client = boto3.client("s3")
    client.create_bucket(Bucket="clips")
    for size, tags in ((7, {"keep": "yes"}), (9, {})):
        client.upload_fileobj(io.BytesIO(bytes(size << 20)), "clips", "clip.mp4", ExtraArgs=EXTRA)
        assert described(client, "clip.mp4") == (*ANSWER, {"keep": "yes"})
        client.copy({"Bucket": "clips", "Key": "clip.mp4"}, "clips", "kept/clip.mp4")
        seen = described(client, "kept/clip.mp4")
        print(f"{size}: {seen[0]}, {seen[1]}, {seen[2]}")
        assert seen == (*ANSWER, tags), tags
PYTHON
