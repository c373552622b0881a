from remote_signing import errors


def test_error_comes_back_from_its_name_with_its_public_values() -> None:
    error = errors.from_wire("EvidenceInvalid", {"attempts_left": 3})
    assert type(error) is errors.EvidenceInvalid
    assert error.public == {"attempts_left": 3}
    assert error.category == "refusal"


def test_unknown_name_is_a_fault_of_the_sam_not_of_the_caller() -> None:
    assert isinstance(errors.from_wire("NeverHeardOf", {}), errors.SamUnavailable)


def test_cause_is_the_text_and_defaults_to_the_fact() -> None:
    assert str(errors.SadExpired()) == "SadExpired"
    assert str(errors.SadExpired("why")) == "why"
