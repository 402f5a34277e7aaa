"""Secrets of every kind, made here from a seed so that no scanner takes this file for a leak."""

from __future__ import annotations

import base64
import hashlib
import json
import string
from typing import NamedTuple

UPPER_DIGITS = string.ascii_uppercase + string.digits
LOWER_DIGITS = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"
ALNUM = string.ascii_letters + string.digits


def drawn(name: str, length: int, letters: str = ALNUM) -> str:
    """Characters that look random and are the same every time."""
    stream = hashlib.shake_256(name.encode()).digest(length)
    return "".join(letters[byte % len(letters)] for byte in stream)


def pem(name: str, kind: str = "RSA ") -> str:
    lines = [drawn(f"{name}{number}", 64, ALNUM + "+/") for number in range(12)]
    return "\n".join([f"-----BEGIN {kind}PRIVATE " + "KEY-----", *lines, f"-----END {kind}PRIVATE " + "KEY-----"])


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Planted(NamedTuple):
    """A secret, the part of it that must not be left, and what it stands in."""

    kind: str
    secret: str
    line: str = "{}"


ODD = "Xk9#mQ2v" + "Lp7w!"
JWT = ".".join(
    [
        encoded('{"alg":"HS256","typ":"JWT"}').rstrip("="),
        encoded('{"sub":"octocat","n":7}').rstrip("="),
        drawn("jwt", 43),
    ]
)
ACCOUNT = json.dumps(
    {"type": "service_account", "private_key": pem("account", "") + "\n", "client_email": "a@b.iam.example"}
)

PLANTED = (
    Planted("aws key id", "AKIA" + drawn("aws", 16, string.ascii_uppercase + "234567"), "aws_access_key_id = {}"),
    Planted(
        "aws secret",
        drawn("awss", 40),
        "aws_access_key_id = AKIA" + drawn("aws", 16, "ABCDEFGH234567") + "\naws_secret_access_key = {}",
    ),
    *(
        Planted(f"github {kind}", f"{kind}_" + drawn(kind, 36), "token: {}")
        for kind in ("ghp", "gho", "ghu", "ghs", "ghr")
    ),
    Planted("github fine-grained", "github_pat_" + drawn("fine", 22) + "_" + drawn("fine2", 59)),
    Planted("gitlab", "glpat-" + drawn("gitlab", 20)),
    Planted("gitlab runner", "glrt-" + drawn("runner", 20)),
    Planted("slack bot", "xoxb-" + "263594206564-2343594206574-" + drawn("slack", 24), "slack = '{}'"),
    Planted(
        "slack user", "xoxp-" + "263594206564-263594206565-2343594206574-" + drawn("slacku", 32, HEX), "slack = '{}'"
    ),
    Planted("slack webhook", drawn("hook", 24), "https://hooks.slack.com/services/T" + "0A1B2C3D4/B" + "0A1B2C3D4/{}"),
    Planted("stripe", "sk_live_" + drawn("stripe", 40)),
    Planted("stripe restricted", "rk_live_" + drawn("striper", 40)),
    Planted("twilio", "SK" + drawn("twilio", 32, HEX), "twilio_api_key = '{}'"),
    Planted("sendgrid", "SG." + drawn("sg", 22) + "." + drawn("sg2", 43)),
    Planted("mailgun", "key-" + drawn("mailgun", 32, HEX), "mailgun_api_key = '{}'"),
    Planted("mailchimp", drawn("mailchimp", 32, HEX) + "-us1", "mailchimp_api_key = '{}'"),
    Planted("npm", "npm_" + drawn("npm", 36), "//registry.example.org/:_authToken={}"),
    Planted("pypi", "pypi-AgEIcHlwaS5vcmc" + drawn("pypi", 60), "password = {}"),
    Planted("rubygems", "rubygems_" + drawn("gems", 48, HEX)),
    Planted("hugging face", "hf_" + drawn("hf", 34)),
    Planted("openai project", "sk-proj-" + drawn("oa", 48)),
    Planted("openai service", "sk-svcacct-" + drawn("oas", 41)),
    Planted("openai old", "sk-" + drawn("oao", 20) + "T3BlbkFJ" + drawn("oao2", 20)),
    Planted("anthropic", "sk-ant-api03-" + drawn("ant", 93) + "AA"),
    Planted("gcp api key", "AIza" + drawn("gcp", 35), "const k = '{}'"),
    Planted("google oauth secret", "GOCSPX-" + drawn("go", 28)),
    Planted("google access token", "ya29." + drawn("ya", 60), "token={}"),
    Planted(
        "service account",
        drawn("account3", 64, ALNUM + "+/"),
        ACCOUNT.replace("{", "{{").replace("}", "}}").replace(drawn("account3", 64, ALNUM + "+/"), "{}"),
    ),
    Planted("azure client secret", drawn("az", 3) + "8Q~" + drawn("az2", 34)),
    Planted(
        "azure storage",
        drawn("azs", 86, ALNUM + "+/") + "==",
        "DefaultEndpointsProtocol=https;AccountName=cart;AccountKey={};EndpointSuffix=core.windows.net",
    ),
    Planted("digitalocean", "dop_v1_" + drawn("do", 64, HEX)),
    Planted("heroku", "-".join(drawn(f"he{n}", n, HEX) for n in (8, 4, 4, 4, 12)), "HEROKU_API_KEY={}"),
    Planted("linear", "lin_api_" + drawn("lin", 40)),
    Planted("notion", "secret_" + drawn("no", 43)),
    Planted("notion new", "ntn_" + drawn("non", 46)),
    Planted("discord webhook", drawn("dw", 68), "https://discord.com/api/webhooks/" + "1" * 18 + "/{}"),
    Planted("discord bot", "M" + drawn("db", 25) + "." + drawn("db2", 6) + "." + drawn("db3", 38), "DISCORD_TOKEN={}"),
    Planted("telegram bot", "5712345678:AA" + drawn("tg", 33), "telegram_token = '{}'"),
    Planted("shopify", "shpat_" + drawn("sh", 32, HEX)),
    Planted("square", "sq0atp-" + drawn("sq", 22)),
    Planted("new relic", "NRAK-" + drawn("nr", 27, UPPER_DIGITS), "new_relic_key = '{}'"),
    Planted("grafana", "glsa_" + drawn("gl", 32) + "_" + drawn("gl2", 8, HEX)),
    Planted("datadog", drawn("dd", 32, HEX), "DD_API_KEY={}"),
    Planted("terraform cloud", drawn("tf", 14) + ".atlasv1." + drawn("tf2", 64), 'token = "{}"'),
    Planted("vault", "hvs." + drawn("hvs", 95), "VAULT_TOKEN={}"),
    Planted("databricks", "dapi" + drawn("dapi", 32, HEX)),
    Planted("atlassian", "ATATT3xFfGF0" + drawn("at", 180), "JIRA_TOKEN={}"),
    Planted("figma", "figd_" + drawn("fig", 40), "FIGMA_TOKEN={}"),
    Planted("postman", "PMAK-" + drawn("pm", 24, HEX) + "-" + drawn("pm2", 34, HEX)),
    Planted("doppler", "dp.pt." + drawn("dp", 43)),
    Planted("planetscale", "pscale_tkn_" + drawn("ps", 43), "PLANETSCALE_TOKEN={}"),
    Planted("pulumi", "pul-" + drawn("pul", 40, HEX)),
    Planted("airtable", "pat" + drawn("air", 14) + "." + drawn("air2", 64, HEX), "AIRTABLE_TOKEN={}"),
    Planted("cloudflare", drawn("cf", 40), "CLOUDFLARE_API_TOKEN={}"),
    Planted("lambda cloud", drawn("lc", 40), "secret_main_" + drawn("lch", 32, HEX) + ".{}"),
    Planted("json web token", JWT, "token = '{}'"),
    *(
        Planted(
            f"pem {kind or 'pkcs8'}",
            drawn(f"{kind}3", 64, ALNUM + "+/"),
            pem(kind, kind).replace(drawn(f"{kind}3", 64, ALNUM + "+/"), "{}"),
        )
        for kind in ("RSA ", "EC ", "OPENSSH ", "DSA ", "ENCRYPTED ", "")
    ),
    Planted(
        "pem without end",
        drawn("cut3", 64, ALNUM + "+/"),
        "\n".join(pem("cut").split("\n")[:8]).replace(drawn("cut3", 64, ALNUM + "+/"), "{}"),
    ),
    Planted(
        "pem without beginning",
        drawn("cut9", 64, ALNUM + "+/"),
        "\n".join(pem("cut").split("\n")[7:]).replace(drawn("cut9", 64, ALNUM + "+/"), "{}"),
    ),
    Planted(
        "middle of a pem",
        drawn("cut5", 64, ALNUM + "+/"),
        "\n".join(pem("cut").split("\n")[3:10]).replace(drawn("cut5", 64, ALNUM + "+/"), "{}"),
    ),
    Planted(
        "middle of a pem in YAML",
        drawn("cut5", 64, ALNUM + "+/"),
        "\n".join(f"      {line}" for line in pem("cut").split("\n")[3:10]).replace(
            drawn("cut5", 64, ALNUM + "+/"), "{}"
        ),
    ),
    Planted("pem in base64", encoded(pem("kube")), "data:\n  tls.key: {}"),
    Planted(
        "aws key in base64",
        encoded(
            "AWS_ACCESS_KEY_ID=AKIA"
            + drawn("aws", 16, "ABCDEFGH234567")
            + "\nAWS_SECRET_ACCESS_KEY="
            + drawn("awss", 40)
        ),
        "data:\n  credentials: {}",
    ),
    Planted("service account in base64", encoded(ACCOUNT), "GOOGLE_CREDENTIALS={}"),
    Planted(
        "github token in base64",
        encoded("https://octocat:ghp_" + drawn("ghp", 36) + "@github.com\n"),
        "  .git-credentials: {}",
    ),
    Planted("django", "django-insecure-" + drawn("dj", 50, ALNUM.lower() + "!@#%^&*(-_=+)"), "SECRET_KEY = '{}'"),
    Planted("django old", drawn("djo", 50, LOWER_DIGITS + "!@#%^&*-_=+"), 'SECRET_KEY = "{}"'),
    Planted("rails", drawn("rails", 128, HEX), "  secret_key_base: {}"),
    Planted("flask", drawn("flask", 32, HEX), "app.secret_key = b'{}'"),
    Planted("laravel", drawn("lar", 43, ALNUM + "+/") + "=", "APP_KEY=base64:{}"),
    Planted("xml element", ODD, "<password>{}</password>"),
    Planted("xml attribute", ODD, '<property name="hibernate.connection.password" value="{}"/>'),
    Planted("xml server", ODD, '<server id="nexus" username="deploy" password="{}"/>'),
    Planted("connection string", ODD, "Server=db.internal;Database=app;User Id=sa;Password={};Encrypt=true"),
    Planted("jdbc", ODD, "jdbc:mysql://db.internal:3306/app?user=app&password={}"),
    Planted(".env password", ODD, "DB_HOST=db.internal\nDB_PASSWORD={}\nDEBUG=0"),
    Planted(".env key", drawn("envk", 32), "PAYMENTS_API_KEY={}"),
    Planted(".env quoted", ODD, 'export SMTP_PASS="{}"'),
    Planted("yaml password", ODD, "database:\n  user: app\n  password: {}"),
    Planted("json password", ODD, '{{"user": "app", "password": "{}"}}'),
    Planted("properties", ODD, "spring.datasource.password={}"),
    Planted("toml token", drawn("toml", 40), 'api_token = "{}"'),
    Planted("kubernetes password", encoded(drawn("k8s", 24)), "kind: Secret\ndata:\n  password: {}"),
    Planted("function argument", ODD, 'client.login("app", password="{}")'),
    Planted(
        "postgres address", ODD.replace("#", "x").replace("!", "y") + "Zq", "postgres://admin:{}@db.internal:5432/app"
    ),
    Planted("mongodb address", drawn("mongo", 18), "mongodb+srv://app:{}@cluster0.ab1cd.mongodb.net/app"),
    Planted("redis address", drawn("redis", 24), "REDIS_URL=redis://:{}@cache.internal:6379/0"),
    Planted("amqp address", drawn("amqp", 20), "amqp://app:{}@queue.internal//"),
    Planted("basic header", encoded("deploy:" + ODD), "Authorization: Basic {}"),
    Planted("basic header in code", encoded("deploy:" + drawn("bas", 20)), 'headers = {{"Authorization": "Basic {}"}}'),
    Planted("bearer header", drawn("bea", 40), 'headers = {{"Authorization": "Bearer {}"}}'),
    Planted("bearer header of curl", drawn("bec", 32), "curl -H 'Authorization: Bearer {}' https://api.internal"),
    Planted("token header", drawn("tok", 40, HEX), "Authorization: token {}"),
    Planted("curl user", ODD, "curl -u deploy:{} https://nexus.internal/repository"),
    Planted("curl user long", drawn("curl", 20), 'curl --user "deploy:{}" https://nexus.internal'),
    Planted("token in an address", drawn("addr", 40, HEX), "git clone https://{}@git.internal/a/b"),
    Planted(
        "user and token in an address",
        "ghp_" + drawn("ghp", 36),
        "git remote add origin https://octocat:{}@github.com/a/b",
    ),
    Planted("netrc", drawn("netrc", 24), "machine api.internal login deploy password {}"),
    Planted(
        "docker auth", encoded("deploy:" + drawn("dock", 24)), '{{"auths": {{"registry.internal": {{"auth": "{}"}}}}}}'
    ),
)
