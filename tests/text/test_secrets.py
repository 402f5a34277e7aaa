import base64

import pytest

from tasks.text.secrets import MAX_SCAN_CHARACTERS, find_secrets

# Put together here so that no scanner takes this file for a leak.
AWS_PAIR = (
    "aws_access_key_id = 'AKIA"
    + "QYLPMN5HXZ2RT7WK'\naws_secret_access_key = 'kR9vX2mQ7sK4tY8wZ1aB3cD5eF6gH0iJkLmNoPqR'"
)
GITHUB = "ghp_" + "R7vX2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNo"


@pytest.mark.parametrize(
    ("rule", "secret", "line"),
    [
        ("aws-secret-access-key", "kR9vX2mQ7sK4tY8wZ1aB3cD5eF6gH0iJkLmNoPqR", AWS_PAIR),
        ("aws-access-token", "AKIA" + "QYLPMN5HXZ2RT7WK", AWS_PAIR),
        ("slack-bot-token", "xoxb-" + "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1", "token: {}"),
        ("stripe-access-token", "sk_live_" + "51HqLyjWDarjtT1zdp7dcQ9vX2mQ7sK4tY8wZ1a", "key = '{}'"),
        ("gcp-api-key", "AIza" + "SyD9x7Kq2mVb4Rt6Yw8Zc1Ne3Pg5Hj7Lk0Q", "const k = '{}'"),
        ("npm-access-token", "npm_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5", "//registry.example.org/:_authToken={}"),
        ("gitlab-pat", "glpat-" + "x7Kq2mVb4Rt6Yw8Zc1Ne", "{}"),
        ("huggingface-access-token", "hf_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z", "login(token={})"),
        ("openai-api-key", "sk-proj-" + "q7X_2mQ9sK4tY8wZ1aB3cD5eF6gH0iJ-kLmNoPqRsTuVwXy", "Authorization: Bearer {}"),
        ("openai-api-key", "sk-svcacct-" + "q7X2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNoPqRsTu", "{}"),
        ("generic-password", "Tr0ub4dor&3xQz9", 'password = "{}"'),
    ],
)
def test_each_kind_of_secret_is_found(rule: str, secret: str, line: str) -> None:
    text = f"# settings\n{line.format(secret)}\n"
    assert (rule, secret) in [(found.rule, text[found.start : found.end]) for found in find_secrets(text)]


RANDOM = "q7X2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNoPqRsTuVw5xY8z"
KEY_LINES = [f"{line:02d}{RANDOM}Ab3dEf9hJk2m" for line in range(12)]
PEM = "\n".join(["-----BEGIN RSA PRIVATE " + "KEY-----", *KEY_LINES, "-----END RSA PRIVATE " + "KEY-----", ""])


@pytest.mark.parametrize(
    ("rule", "hidden", "text"),
    [
        ("private-key", KEY_LINES[3], "\n".join(PEM.split("\n")[:7])),
        ("private-key", KEY_LINES[3], "@@ -1,7 +1,7 @@\n" + "\n".join(f"+{line}" for line in PEM.split("\n")[:7])),
        ("private-key", KEY_LINES[9], "@@ -9,7 +9,7 @@\n" + "\n".join(f" {line}" for line in PEM.split("\n")[7:])),
        ("private-key", base64.b64encode(PEM.encode()).decode(), f"tls.key: {base64.b64encode(PEM.encode()).decode()}"),
        ("google-oauth", RANDOM[:28], f"google: GOCSPX-{RANDOM[:28]}"),
        ("azure-client-secret", RANDOM[:34], f"AZURE = 'aB38Q~{RANDOM[:34]}'"),
        ("notion-token", RANDOM[:43], f"notion: secret_{RANDOM[:43]}"),
        ("discord-webhook", RANDOM + RANDOM[:20], f"https://discord.com/api/webhooks/{'1' * 18}/{RANDOM}{RANDOM[:20]}"),
        ("lambda-cloud-key", RANDOM[:40], f"secret_main_{'0a' * 16}.{RANDOM[:40]}"),
        ("generic-bearer-token", RANDOM[:40], f'"Authorization": "Bearer {RANDOM[:40]}"'),
        ("generic-token-in-address", RANDOM[:40], f"git clone https://{RANDOM[:40]}@git.example.org/a/b"),
    ],
)
def test_kinds_that_the_library_misses_are_found(rule: str, hidden: str, text: str) -> None:
    found = find_secrets(text)
    assert rule in [secret.rule for secret in found]
    assert any(hidden in text[secret.start : secret.end] for secret in found)


def test_what_only_looks_like_these_kinds_is_none() -> None:
    certificate = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" + RANDOM.encode() * 8).decode()
    manual = f"ca.crt: {certificate}\nAuthorization: Bearer YOUR_ACCESS_TOKEN_GOES_HERE\nhttps://example.org/@user\n"
    assert [secret for secret in find_secrets(manual) if secret.confidence != "low"] == []


def test_placeholders_of_manuals_are_no_secrets() -> None:
    manual = f"hf_{'x' * 34}\nsk-proj-your-openai-api-key-goes-here\nsk-proj-{'0' * 48}\nmy-hf_{'model' * 8}\n"
    assert find_secrets(manual) == []


def test_password_in_an_address_is_found() -> None:
    text = 'db = "postgres://admin:' + 'Xk9#mQ2vLp7w@db.guardian.internal:5432/app"'
    assert [found.rule for found in find_secrets(text)] == ["generic-credential-uri"]


def test_generic_secret_is_hidden_only_where_it_was_found() -> None:
    text = "It is called Xk9mQ2vLp.\npassword = 'Xk9mQ2vLp'\n"
    assert [text[: found.start].count("\n") for found in find_secrets(text)] == [1]


def test_every_occurrence_is_found_with_its_rule_and_place() -> None:
    text = f"token = '{GITHUB}'\nagain {GITHUB}\n"
    found = find_secrets(text)
    assert [secret.rule for secret in found] == ["github-pat", "github-pat"]
    assert all(text[secret.start : secret.end] == GITHUB for secret in found)


def test_secret_after_a_nul_is_found() -> None:
    assert [secret.rule for secret in find_secrets(f"a\0b\ntoken = '{GITHUB}'\n")] == ["github-pat"]


def test_secret_across_the_seam_of_two_pieces_is_found() -> None:
    for shift in (-30, 0, 10):
        text = "x\n" * ((MAX_SCAN_CHARACTERS + shift) // 2) + f"token = '{GITHUB}'\n" + "y\n" * 30_000
        assert [text[secret.start : secret.end] for secret in find_secrets(text)] == [GITHUB]


def test_secret_is_not_in_its_own_repr() -> None:
    assert GITHUB not in repr(find_secrets(f"token = '{GITHUB}'"))


def test_ordinary_code_has_no_secrets() -> None:
    assert find_secrets("const token = await getToken(user.id);\nexport const password = usePassword();\n") == []
