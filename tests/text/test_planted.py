"""Each kind of secret is found wherever people put it, and what only looks like one is left."""

from __future__ import annotations

import random
import string

import pytest

from tasks.corpus.params import RedactParams
from tasks.corpus.redact import redact_document
from tasks.text.secret_values import is_random, looks_secret
from tests.corpus.documents import file, page, pull
from tests.text.planted import PLANTED, Planted

SAID = {"author": "mona", "created_at": "2023-12-01T10:00:00Z"}


def test_there_are_as_many_kinds_as_the_review_planted() -> None:
    assert len({planted.kind for planted in PLANTED}) == len(PLANTED) >= 83


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.kind)
def test_planted_secret_is_hidden_in_files_diffs_comments_and_wiki(planted: Planted) -> None:
    text = "The cart.\n" + planted.line.format(planted.secret) + "\nThe end.\n"
    patch = "@@ -0,0 +1,3 @@\n" + "\n".join(f"+{line}" for line in text.split("\n"))
    documents = [
        file("settings.py", text),
        page("Deploy.md", text),
        pull(1, patches=[("a.txt", patch)], comments=[SAID | {"body": text}]),
    ]
    for document in documents:
        clean, found = redact_document(document, RedactParams())
        assert len(found) >= (2 if document.path == "1" else 1)
        assert planted.secret not in clean.line().replace("\\n", "\n")


PLAIN = """
password = self.password
password: str = field(default="")
def login(username: str, password: str) -> Token:
const token = await getToken(user.id2);
export const password = usePasswordInput2();
"password": "password", "passwd": "changeme", "secret": "my-secret", "token": "example_token_123"
auth = httpx.DigestAuth(username="Mufasa", password="CircleOfLife")
url = "https://username:password@example.org:443/path"
db = "postgres://postgres:postgres@localhost:5432/postgres"
DB_PASSWORD=${DB_PASSWORD}
DB_PASSWORD_FILE=/run/secrets/db-password
password={{ cookiecutter.postgres_password }}
secretName: checkout-tls-Certificate1
secret_key_ref: {name: payments, key: apiToken}
passwordPattern: "^(?=.*[A-Z])(?=.*[0-9]).{8,}$"
tokenUrl: "https://auth.internal/oauth2/token?version=2"
const translationKey = "checkout.Step2.title";
cacheKey: "user-Profile-V2"
publicKey: 'pk4T9vX2mQ7sK4tY8wZ1aB3cD5eF6gH0iJkLmNo'
sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0ba0e5b4a5d5e6f7a8b9c0
commit 1272c7d01272c7d01272c7d01272c7d01272c7d0
integrity sha512-q7X2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNoPqRsTuVw5xY8z==
Authorization: Bearer YOUR_ACCESS_TOKEN_GOES_HERE
Authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=
curl -u username:password https://api.internal
password = System.fetch_env!("AUTH_PASSWORD1")
POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?Variable not set}
onClick={() => setShowPassword(!showPassword)}
**Session Secret Generation**
DOVECOT_PASS_FILTER=(&(objectClass=PostfixBookMailAccount)(uniqueIdentifier=%n))
apiAddress: dGNwOi8vMTI3LjAuMC4xOjU3MDU=
password: bXlwYXNzd29yZA==
headers = {"Sec-WebSocket-Key": "NTA2MDAyMDU1NjMzNjkwMg=="}
app.defaults(secret => "Insecure!");
assert response.headers["token"] == expected_token_for(user1)
type Props = { password?: string; onSubmitPassword1: (value: string) => void }
""".strip().split("\n")


@pytest.mark.parametrize("line", PLAIN)
def test_identifiers_words_placeholders_paths_and_expressions_stay(line: str) -> None:
    document = file("a.txt", f"{line}\n")
    assert redact_document(document, RedactParams()) == (document, [])


def test_random_values_look_random_and_words_do_not() -> None:
    chance = random.Random(24)
    drawn = ["".join(chance.choices(string.ascii_letters + string.digits, k=20)) for _ in range(2_000)]
    assert sum(map(is_random, drawn)) / len(drawn) > 0.98
    names = [
        "subscriptionRateplanChargeId2",
        "checkout-step2-title-en",
        "ContributionsOrderSummary1",
        "x86_64-linux-gnu2",
    ]
    assert not any(map(looks_secret, names))
