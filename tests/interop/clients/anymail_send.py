"""django-anymail with its Mailgun back end, told another address and nothing else: settings as JSON on standard input {url, key}."""

import json
import sys

import django
from django.conf import settings

told = json.load(sys.stdin)
settings.configure(
    EMAIL_BACKEND="anymail.backends.mailgun.EmailBackend",
    ANYMAIL={"MAILGUN_API_KEY": told["key"], "MAILGUN_API_URL": told["url"] + "/v3", "MAILGUN_SENDER_DOMAIN": "client.example"},
)
django.setup()

from django.core.mail import EmailMultiAlternatives  # noqa: E402  # Django wants to be set up first

message = EmailMultiAlternatives(
    "Grüße", "Hallo\n", "Anne <anne@client.example>", ["You <d@example.com>"], cc=["e@example.com"], headers={"X-My": "1"}
)
message.attach_alternative("<p>Hällo</p>", "text/html")
message.attach("t.csv", "a;b\n", "text/csv")
message.tags = ["one"]  # type: ignore[attr-defined]
message.metadata = {"user": "7"}  # type: ignore[attr-defined]
sent = message.send()
status = message.anymail_status  # type: ignore[attr-defined]
print(json.dumps({"sent": sent, "id": status.message_id, "status": sorted(status.status)}))
