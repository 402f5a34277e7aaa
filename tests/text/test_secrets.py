from tasks.text.secrets import MAX_SCAN_CHARACTERS, find_secrets

# Put together here so that no scanner takes this file for a leak.
GITHUB = "ghp_" + "R7vX2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNo"


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
