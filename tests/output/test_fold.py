"""Folding: nothing is lost, and what is one entry says the same of each of its hosts."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Action, Delta, Plan, Ref, Step
from reconciler.output.fold import OWN, Entry, by_subject, fold, hosts_text, risks
from reconciler.output.plans import Layers, PlanText, plan_lines
from reconciler.output.text import Style
from reconciler.subjects import Risk

HOSTS = ("a.x.org", "b.x.org", "ab.x.org")
PLAIN = PlanText(style=Style(colour=False), layers=Layers(commands=True))

texts = st.lists(
    st.sampled_from([*HOSTS, "ops@b.x.org", "k", " ", "xa.x.org", "a.x.org.uk", OWN]), max_size=4
).map(" ".join)
values = st.one_of(texts, st.none(), st.booleans(), st.integers(0, 2))
deltas = st.builds(Delta, st.sampled_from(["f", "g"]), values, values, st.none() | texts.map("+{}\n".format))
steps = st.builds(Step, texts, st.just("why"), st.none() | texts)
actions = st.builds(
    Action,
    st.builds(Ref, st.sampled_from(HOSTS), st.sampled_from(["file", "thing"]), texts),
    st.sampled_from(["create", "change", "remove"]),
    st.lists(deltas, max_size=2).map(tuple),
    st.lists(steps, max_size=1).map(tuple),
    blocked=st.sampled_from([None, "no"]),
)
plans = st.lists(actions, max_size=12).map(lambda each: Plan("e", tuple(each), hosts=HOSTS))


def spoken(action: Action, roles: bool) -> list[str]:
    """What an action says, each text by itself; with `roles`, hosts in the order in which it names them."""
    said = [action.ref.name, action.blocked or ""]
    for delta in action.deltas:
        said += [
            delta.field,
            *([delta.text] if delta.text is not None else map(repr, (delta.seen, delta.want))),
        ]
    said += [step.command for step in action.steps]
    if not roles:
        return said
    known = {action.ref.host: "<0>"}
    by_role = []
    for text in said:
        words = text.replace("'", " ' ").replace("+", "+ ").split(" ")
        named = []
        for word in words:
            head, at, host = word.rpartition("@")
            host, end = (host.rstrip("\n"), "\n") if host.endswith("\n") else (host, "")
            named.append(
                f"{head}{at}{known.setdefault(host, f'<{len(known)}>')}{end}" if host in HOSTS else word
            )
        by_role.append(" ".join(named))
    return by_role


@given(plans)
def test_every_action_is_in_exactly_one_entry(plan: Plan) -> None:
    entries = fold(plan)
    assert Counter(id(each) for entry in entries for each in entry.actions) == Counter(map(id, plan.actions))
    grouped = [entry for _, group in by_subject(entries) for entry in group]
    assert Counter(map(id, (e.actions[0] for e in grouped))) == Counter(id(e.actions[0]) for e in entries)


@given(plans)
def test_what_is_one_entry_says_the_same_once_hosts_are_named_by_their_roles(plan: Plan) -> None:
    for entry in fold(plan):
        first, *others = entry.actions
        for other in others:
            assert (first.verb, first.ref.kind) == (other.verb, other.ref.kind)
            pairs = zip(
                spoken(first, False),
                spoken(other, False),
                spoken(first, True),
                spoken(other, True),
                strict=True,
            )
            assert all(raw == raw2 or role == role2 for raw, raw2, role, role2 in pairs)


@given(plans)
def test_no_value_and_no_command_of_any_action_is_left_out_of_the_text(plan: Plan) -> None:
    text = "\n".join(plan_lines(plan, PLAIN))
    for entry in fold(plan):
        for action in entry.actions:
            assert action.ref.host.partition(".")[0] in text or "all 3 hosts" in text
            if len(entry.actions) == 1:
                assert all(step.command in text for step in action.steps)


def entry(*pairs: tuple[str, str]) -> Entry:
    """The one entry of actions on hosts, each about another host."""
    actions = tuple(Action(Ref(host, "thing", f"to {peer}"), "create", (), ()) for host, peer in pairs)
    (found,) = fold(Plan("e", actions, hosts=HOSTS))
    return found


def test_the_hosts_of_an_entry_are_told_whole() -> None:
    a, b, c = HOSTS
    assert hosts_text(entry((a, a), (b, b), (c, c)), HOSTS) == "all 3 hosts"
    assert hosts_text(entry((a, a), (b, b)), HOSTS) == "a, b"
    assert hosts_text(entry((a, a), (b, b)), HOSTS[:2]) == "a, b"
    assert hosts_text(entry((a, b), (a, c)), HOSTS) == "a → each other host"
    assert hosts_text(entry((a, b), (b, a)), HOSTS) == "a → b; b → a"
    assert hosts_text(entry((a, "x")), HOSTS) == "a"
    everyone = tuple(f"h{number}.x" for number in range(9))
    many = entry(*((host, host) for host in everyone[1:]))
    assert hosts_text(many, everyone) == "8 hosts, all but h0"
    assert hosts_text(entry(("10.0.0.1", "x")), ("10.0.0.1", "10.0.0.2")) == "10.0.0.1"


def test_an_action_that_names_the_wrong_host_is_an_entry_of_its_own() -> None:
    a, b, _ = HOSTS
    actions = tuple(Action(Ref(host, "thing", f"serves {a}"), "create", (), ()) for host in (a, b))
    (same,) = fold(Plan("e", actions, hosts=HOSTS))
    assert same.shown.ref.name == f"serves {a}"
    other = Action(Ref("ab.x.org", "thing", f"serves {b}"), "create", (), ())
    assert len(fold(Plan("e", (*actions, other), hosts=HOSTS))) == 2


def test_what_stands_out() -> None:
    def of(kind: str, verb: str, command: str, blocked: str | None = None) -> set[str]:
        return set(risks(Action(Ref("a", kind, "n"), verb, (), (Step(command, "w"),), blocked=blocked)))

    assert of("service", "change", "systemctl restart tomcat10") == {Risk.RESTART}
    assert of("service", "change", "systemctl reload apache2") == set()
    assert of("service", "change", "systemctl stop x") == {Risk.STOP}
    assert of("serving", "reload", "systemctl restart tomcat10") == {Risk.RESTART}
    assert of("certificate", "create", "sh '/a b/certificate.sh' order none") == {Risk.ORDER}
    assert of("certificate", "change", "certbot register") == set()
    assert of("revocation", "change", "sh /x.sh revoke 03AB") == {Risk.REVOCATION}
    assert of("unheard-of", "remove", "rm x") == {Risk.REMOVAL}
    assert of("file", "remove", "rm x", "it is not ours") == {Risk.REFUSED}
