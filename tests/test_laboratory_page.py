"""The laboratory as its readers use it, in a browser, from the disk, with no network."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.laboratory import LABORATORY
from conftest import needs_browser
from hypothesis import given, settings
from hypothesis import strategies as st

from cilkit import METHODS, Config
from cilkit.methods.joint import Joint
from cilkit.methods.lwf import LwF
from cilkit.methods.replay import Replay
from cilkit.methods.replay_kd import ReplayKD
from cilkit.metrics import spread
from cilkit.teaching import laboratory
from cilkit.teaching.lab.laboratory import ladder

pytestmark = [pytest.mark.slow, needs_browser]
SHORT = "epochs=2"  # a run to look at, not to learn from
Visit = Callable[..., Any]
PHASE = "(wanted) => document.querySelector('.cil-lab').dataset.phase === wanted"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where a page lies that holds the laboratory and nothing else."""
    path = tmp_path_factory.mktemp("lab") / "lab.html"
    path.write_text(
        "<!DOCTYPE html><html lang='en' data-theme='light'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'><title>Lab</title>"
        f"</head><body><main><h1>Lab</h1><h2>Here</h2>{laboratory()._repr_html_()}</main></body></html>",
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture
def visit(browser: Any, address: str, request: pytest.FixtureRequest) -> Visit:
    """Open the laboratory at these settings; whatever goes wrong is in `page.trouble`."""

    def open_page(hash_: str = "", width: int = 1200, script: str = "", **options: Any) -> Any:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, offline=True, **options)
        request.addfinalizer(context.close)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.trouble = []
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("console", lambda m: m.type == "error" and page.trouble.append(m.text))
        if script:
            page.add_init_script(script)
        page.goto(f"{address}#{hash_}")
        return page

    return open_page


def train(page: Any, hold: bool = False) -> None:
    """Press Train, and wait until it is over, or held before an alignment."""
    if not hold and page.locator(".lab-hold").is_checked():
        page.locator(".lab-hold").uncheck()
    page.locator(".lab-train").click()
    page.wait_for_function(PHASE, arg="held" if hold else "done")


def says(page: Any, panel: str) -> str:
    """Return what stands below a picture."""
    page.evaluate("new Promise(requestAnimationFrame)")
    return page.locator(f'.lab-panel[data-panel="{panel}"] output').text_content()


def slide(page: Any, key: str, place: int) -> None:
    """Move the slider of a setting to one of its stops."""
    slider = page.locator(f'input[data-key="{key}"]')
    slider.evaluate("(input) => input.closest('details').open = true")
    slider.fill(str(place))


# The settings


@pytest.mark.parametrize(
    ("key", "usual", "place"),
    [("weight_decay", "0.0005", 3 / 9), ("temperature", "2", 4 / 10), ("lr", "0.1", 7 / 9)],
)
def test_the_usual_value_stands_under_its_place_on_the_slider(
    key: str, usual: str, place: float, visit: Visit
) -> None:
    page = visit()
    setting = page.locator(f'.lab-number:has([data-key="{key}"])')
    setting.evaluate("(part) => { part.closest('details').open = true; }")
    mark, slider = (setting.locator(part).bounding_box() for part in (".lab-tick", "input"))
    edge = mark["x"] + (mark["width"] if place > 0.5 else 0)
    assert setting.locator(".lab-tick").text_content().strip("▴ ") == f"usual: {usual}"
    assert edge == pytest.approx(slider["x"] + 8 + place * (slider["width"] - 16), abs=8)


# Runs from a console


def test_a_run_from_a_console_gives_numbers_and_draws_nothing(visit: Visit) -> None:
    page = visit()
    found = page.evaluate(
        "cilkitLab.run({exemplars: true, teacher: false, align: true, epochs: 1})"
    )
    assert [len(found[name]) for name in ("accuracy", "gamma", "norms")] == [5, 5, 5]
    assert found["gamma"][0] is None
    assert [len(norms) for norms in found["norms"]] == [2, 4, 6, 8, 10]
    assert page.locator(".cil-lab rect").count() == 2, "the key's two colours"
    assert page.trouble == []


def test_a_worker_and_slices_of_the_page_give_the_same_run(visit: Visit) -> None:
    call = "cilkitLab.run({method: 'wa', epochs: 2, seed: 5})"
    pages = [visit(), visit(script="window.cilkitLabWithoutWorker = true")]
    assert [page.locator(".cil-lab").get_attribute("data-mode") for page in pages] == [
        "worker",
        "slices",
    ]
    one, other = (page.evaluate(call) for page in pages)
    assert one == other


def test_the_page_trains_what_a_console_does_and_the_same_twice(visit: Visit) -> None:
    page = visit(SHORT)
    last = page.evaluate("cilkitLab.run({epochs: 2})")["accuracy"][-1]
    for _ in range(2):
        train(page)
        assert f"all {last:.1f} %" in says(page, "digits")
    assert page.trouble == []


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("{budget: -1}", "budget lies between 0 and 400, and is a whole number."),
        ("{method: 'ewc'}", "method is one of finetune, lwf, replay, replay-kd, wa, joint."),
        ("{decay: 1}", "there is no setting decay."),
        ("{temperature: 0}", "temperature lies between 0.25 and 16."),
    ],
)
def test_a_console_is_told_what_is_wrong(asked: str, answer: str, visit: Visit) -> None:
    call = f"cilkitLab.run({asked}).then(() => '', (error) => error.message)"
    assert visit().evaluate(call) == answer


def test_a_run_that_breaks_says_so_in_a_sentence(visit: Visit) -> None:
    page = visit()
    page.evaluate("cilkitLab.data.images.fill(1e30)")
    call = """(() => {
        try { cilkitLab.engine.run(cilkitLab.data, {}); } catch (error) { return error.message; }
    })()"""
    assert page.evaluate(call).endswith("epoch 1; a lower learning rate may help")


# Training


def test_a_run_stops_before_each_alignment_and_goes_on(visit: Visit) -> None:
    page = visit(SHORT)
    train(page, hold=True)
    assert page.locator(".lab-train").text_content() == "Next: align"
    gamma = re.search(r"γ is ([\d.]+)\.", page.locator(".lab-says").text_content())
    assert gamma is not None
    assert f"old/new = {gamma[1]}" in says(page, "lengths")
    page.locator(".lab-train").click()
    page.wait_for_function(
        "document.querySelector('.lab-says').textContent.startsWith('Stage 3 is trained')"
    )
    page.locator('[data-jump="-1"]').click()
    assert "old/new = 1.00" in says(page, "lengths"), "both means are equal after the alignment"


def test_a_second_run_does_not_stand_as_done_before_it_has_begun(visit: Visit) -> None:
    page = visit(SHORT)
    train(page)
    click = "document.querySelector('.lab-train').click()"
    assert page.evaluate(f"{click}, document.querySelector('.cil-lab').dataset.phase") == "running"


@pytest.mark.parametrize(
    ("step", "place"), [("batch", "step 1"), ("epoch", "epoch 1"), ("stage", "end of stage 1")]
)
def test_one_step_is_one_step(step: str, place: str, visit: Visit) -> None:
    page = visit(SHORT)
    page.locator(f'[data-step="{step}"]').click()
    page.wait_for_function(PHASE, arg="paused")
    assert page.locator(".lab-train").text_content() == "Go on"
    page.evaluate("new Promise(requestAnimationFrame)")
    assert place in page.locator(".lab-time output").text_content()


def test_a_paused_run_goes_on_to_the_same_end(visit: Visit) -> None:
    page = visit("epochs=3")
    page.locator(".lab-hold").uncheck()
    page.locator('[data-step="epoch"]').click()
    page.wait_for_function(PHASE, arg="paused")
    train(page)
    last = page.evaluate("cilkitLab.run({epochs: 3})")["accuracy"][-1]
    assert f"all {last:.1f} %" in says(page, "digits")


def test_the_time_line_goes_back_with_the_keyboard(visit: Visit) -> None:
    page = visit(SHORT)
    train(page)
    page.locator(".lab-time input").focus()
    page.keyboard.press("Home")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator(".lab-time output").text_content() == "stage 1, before its first step"
    page.keyboard.press("ArrowRight")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator(".lab-time output").text_content() == "stage 1, epoch 1"


def test_a_kept_run_is_drawn_beside_the_next(visit: Visit) -> None:
    page = visit(SHORT + "&method=finetune")
    train(page)
    page.locator(".lab-keep").click()
    page.locator('[data-method="replay"]').click()
    train(page)
    assert page.locator(".lab-kept li").count() == 1
    assert page.locator('.lab-panel[data-panel="stages"] path.kept').count() == 1
    assert "Dashed: the run before" in says(page, "digits")


def test_five_seeds_draw_a_band_and_say_its_width(visit: Visit) -> None:
    page = visit("epochs=1")
    page.locator(".lab-seeds").click()
    page.wait_for_function(
        "document.querySelector('.lab-seeds-says').textContent.includes('after the last stage')"
    )
    runs = page.evaluate(
        "Promise.all([0, 1, 2, 3, 4].map((seed) => cilkitLab.run({epochs: 1, seed})))"
    )
    assert (
        spread([run["accuracy"][-1] for run in runs])
        in page.locator(".lab-seeds-says").text_content()
    )
    assert page.locator("path.band").count() == 1


def test_a_run_says_whose_settings_it_has_and_whether_others_wait(visit: Visit) -> None:
    page = visit(SHORT)
    train(page)
    title = page.locator(".lab-run-title")
    assert title.text_content() == "Shown: WA, epochs 2."
    slide(page, "gamma", 0)  # acts at once
    page.evaluate("new Promise(requestAnimationFrame)")
    assert title.text_content() == "Shown: WA, epochs 2."
    slide(page, "budget", 0)
    page.evaluate("new Promise(requestAnimationFrame)")
    assert title.text_content().endswith("they hold for the next run.")
    train(page)
    assert title.text_content() == "Shown: WA, budget 0, gamma 0.2, epochs 2."


# What acts at once


def test_gamma_by_hand_acts_on_a_trained_network_without_training(visit: Visit) -> None:
    page = visit("epochs=5&at=5")
    train(page)
    by_wa = says(page, "digits")
    slide(page, "gamma", 0)  # 0.2
    assert says(page, "digits") != by_wa
    assert "new 0.0 %" not in by_wa
    lengths = says(page, "lengths")
    slide(page, "gamma", 36)  # 2
    assert says(page, "lengths") != lengths
    page.locator('[data-special="gamma"]').check()
    assert says(page, "digits") == by_wa
    assert page.locator(".cil-lab").get_attribute("data-phase") == "done"


def test_the_temperature_softens_what_student_and_teacher_say_at_once(visit: Visit) -> None:
    page = visit(SHORT + "&at=5")
    train(page)
    page.locator('[data-example="3"]').click()
    sure = []
    for place in (0, 10):  # T = 0.25 and 16
        slide(page, "temperature", place)
        page.evaluate("new Promise(requestAnimationFrame)")
        words = page.locator(".lab-opinions-says").text_content()
        sure.append([float(value) for value in re.findall(r"\(([\d.]+) %", words)])
    assert len(sure[0]) == 2, "student and teacher"
    assert (np.array(sure[0]) > np.array(sure[1])).all()


def test_a_digit_that_is_drawn_is_read(visit: Visit) -> None:
    page = visit("epochs=5&at=5")
    train(page)
    box = page.locator(".lab-pad").bounding_box()
    page.locator(".lab-pad").scroll_into_view_if_needed()
    box = page.locator(".lab-pad").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    turn = np.linspace(0, 2 * np.pi, 24)
    page.mouse.move(x + 25, y)
    page.mouse.down()
    for angle in turn:  # a zero, larger than it needs to be
        page.mouse.move(x + 25 * np.cos(angle), y + 40 * np.sin(angle))
    page.mouse.up()
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator(".lab-opinions-says").text_content().startswith("The student says 0")


# Predict, and missions


def test_a_guess_is_compared_with_what_is_left(visit: Visit) -> None:
    page = visit(SHORT + "&method=finetune")
    page.locator(".lab-guess input").fill("80")
    train(page)
    words = page.locator(".lab-says").text_content()
    left = re.search(r"of 0 and 1 are left ([\d.]+) %", words)
    assert left is not None
    assert f"You said 80 %: {80 - float(left[1]):.0f} points too high." in words


def test_without_a_guess_nothing_is_compared(visit: Visit) -> None:
    page = visit(SHORT)
    train(page)
    assert "You said" not in page.locator(".lab-says").text_content()


@pytest.mark.parametrize(
    ("mission", "runs"),
    [
        ("γ above 1", ["epochs=5"]),
        ("T matters", ["", "T=0.25"]),
        ("Enough exemplars", ["budget=200", "budget=400"]),
        ("Ninety with fifty", ["T=4"]),
        ("The worst second stage", ["order=5198023467"]),
        ("Harm by one knob", ["wd=5e-4"]),
    ],
)
def test_a_mission_can_be_done_and_the_page_sees_it(
    mission: str, runs: list[str], visit: Visit
) -> None:
    page = visit(runs[0])
    assert page.locator(".solved").count() == 0
    for hash_ in runs:
        page.evaluate(f"location.hash = '{hash_}'")
        shows = "(hash) => cilkitLab.shown() === hash"
        page.wait_for_function(shows, arg=hash_)
        train(page)
    assert mission in " ".join(page.locator(".solved strong").all_text_contents())


# The address


WRONG = [
    ("wd=banana", "“wd=banana” was not understood: wd lies between 0 and 0.05."),
    ("method=ewc", "method is one of finetune"),
    ("speed=3", "there is no setting speed"),
    ("budget=5.5", "is a whole number"),
    ("order=0123", "order holds each of the ten digits once"),
    ("mix=stirred", "mix is one of additive, convex"),
    ("%E0%A4%A", "was not understood"),
]


@pytest.mark.parametrize(("hash_", "answer"), WRONG)
def test_a_wrong_part_of_an_address_is_named_and_the_rest_holds(
    hash_: str, answer: str, visit: Visit
) -> None:
    page = visit(f"T=4&{hash_}")
    assert answer in page.locator(".lab-wrong").text_content()
    assert page.locator('output[data-value="temperature"]').text_content() == "4"
    assert page.locator('output[data-value="weight_decay"]').text_content() == "0.01"
    assert page.trouble == []


def test_an_address_opens_its_settings_and_a_link_on_the_page_changes_them(visit: Visit) -> None:
    page = visit("method=replay&wd=5e-4")
    assert page.locator('[data-method="replay"]').get_attribute("aria-pressed") == "true"
    assert page.locator('output[data-value="weight_decay"]').text_content() == "0.0005"
    page.evaluate("location.hash = 'method=lwf'")
    page.locator('[data-method="lwf"][aria-pressed="true"]').wait_for()
    assert page.locator('output[data-value="weight_decay"]').text_content() == "0.01"


def test_the_address_of_a_heading_is_no_setting(visit: Visit) -> None:
    page = visit("")
    page.evaluate("document.querySelector('h2').id = 'here'")
    page.evaluate("location.hash = 'budget=20'")
    page.evaluate("location.hash = 'here'")
    assert page.locator('output[data-value="budget"]').text_content() == "20"
    assert page.locator(".lab-wrong").text_content() == ""


def test_every_control_leaves_its_setting_in_the_address(visit: Visit) -> None:
    page = visit()
    page.locator('[data-method="replay"]').click()
    slide(page, "budget", 10)
    page.locator('.lab-group:has-text("Classes") summary').click()
    page.locator('[data-key="increment"][value="5"]').check()
    page.locator('[data-tile="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.locator('[data-special="kd_weight"]').evaluate("(box) => box.click()")
    hash_ = page.evaluate("location.hash")
    assert hash_ == "#method=replay&budget=200&lambda=dynamic&at=5&order=1023456789"


ADDRESSES = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["finetune", "lwf", "replay", "replay-kd", "joint"]),
        "budget": st.integers(0, 400),
        "per": st.just("class"),
        "choose": st.just("random"),
        "lambda": st.floats(0, 1).map(lambda v: f"{v:.3g}") | st.just("dynamic"),
        "mix": st.just("convex"),
        "T": st.floats(0.25, 16).map(lambda v: f"{v:.3g}"),
        "t2": st.just("0"),
        "gamma": st.floats(0.2, 2).map(lambda v: f"{v:.3g}"),
        "clip": st.just("1"),
        "wd": st.floats(5e-5, 5e-2).map(lambda v: f"{v:.3g}"),
        "at": st.sampled_from([1, 5]),
        "order": st.permutations("0123456789").map("".join),
        "seed": st.integers(1, 999),
    },
)


@pytest.fixture(scope="module")
def one_page(browser: Any, address: str) -> Any:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


@settings(max_examples=40)
@given(parts=ADDRESSES)
def test_settings_survive_their_address_and_python_gets_the_same(
    parts: dict[str, Any], one_page: Any
) -> None:
    hash_ = "&".join(f"{name}={value}" for name, value in parts.items())
    read = "(hash) => cilkitLab.from_address(hash)"
    found = one_page.evaluate(read, hash_)
    assert found["wrong"] == []
    again = one_page.evaluate("(s) => cilkitLab.to_address(s)", found["settings"])
    assert one_page.evaluate(read, again)["settings"] == found["settings"]


# The same in Python


def python_of(page: Any, hash_: str) -> dict[str, Any]:
    """Run the lines that the page shows, up to the training; return what they define."""
    lines = page.evaluate(
        "(hash) => cilkitLab.in_python(cilkitLab.from_address(hash).settings)", hash_
    )
    defined: dict[str, Any] = {}
    known = dict(METHODS)
    exec(lines.split("learner, scenario")[0], defined)
    METHODS.clear()
    METHODS.update(known)
    return defined


@pytest.mark.parametrize("name", ["finetune", "lwf", "replay", "replay-kd", "wa", "joint"])
def test_python_has_the_method_of_each_button(name: str, one_page: Any) -> None:
    config = python_of(one_page, f"method={name}&epochs=3")["config"]
    assert isinstance(config, Config)
    assert (config.method, config.epochs, config.backbone) == (name, 3, "mlp")
    assert (config.lr, config.weight_decay) == (0.1, 0.01)
    assert (config.augment, config.batch_size) == ("none", 32)
    if isinstance(config, Replay.Settings):
        assert config.budget == 50


@pytest.mark.parametrize("name", ["finetune", "replay", "joint"])
def test_python_clips_where_the_page_clips_without_wa(name: str, one_page: Any) -> None:
    defined = python_of(one_page, f"method={name}&clip=1")
    assert issubclass(defined["Clipped"], METHODS[name])
    assert defined["config"].method == "clipped"


def test_python_has_every_setting_of_the_page(one_page: Any) -> None:
    hash_ = "budget=7&per=class&choose=random&lambda=dynamic&mix=convex&T=4&t2=0&wd=5e-4&clip=1"
    config = python_of(one_page, hash_ + "&at=5&order=9876543210&lr=0.05&seed=3")["config"]
    assert (config.budget, config.budget_per, config.selection) == (7, "class", "random")
    assert (config.kd_weight, config.kd_mix, config.temperature) == ("dynamic", "convex", 4)
    assert (config.kd_t_squared, config.clip_weights, config.increment) == (False, True, 5)
    assert (config.weight_decay, config.lr, config.seed) == (5e-4, 0.05, 3)
    assert config.class_order == tuple(range(9, -1, -1))


@pytest.mark.parametrize(
    ("boxes", "base"),
    [
        ("exemplars=0&teacher=0&align=1", "Learner"),
        ("exemplars=0&teacher=1&align=1", "LwF"),
        ("exemplars=1&teacher=0&align=1", "Replay"),
        ("exemplars=1&teacher=1&align=1&gamma=0.5", "ReplayKD"),
    ],
)
def test_python_has_a_method_of_its_own_where_the_package_has_none(
    boxes: str, base: str, one_page: Any
) -> None:
    page = one_page
    lines = page.evaluate(
        "(hash) => cilkitLab.in_python(cilkitLab.from_address(hash).settings)",
        boxes + "&epochs=1&at=5",
    )
    known = dict(METHODS)
    try:
        exec(lines.replace("print(record)", "pass"), defined := {})
    finally:
        METHODS.clear()
        METHODS.update(known)
    aligned = defined["Aligned"]
    assert aligned.__mro__[1].__name__ == base
    norms = np.array(defined["learner"].model.classifier.norms())
    if "gamma" not in boxes:
        assert norms[:5].mean() == pytest.approx(norms[5:].mean(), rel=1e-3)


def test_python_has_the_pages_own_settings_whatever_the_preset_has(one_page: Any) -> None:
    assert python_of(one_page, "")["config"] == replace(LABORATORY, method="wa", seed=0)


def test_no_budget_is_no_exemplars_in_python_too(one_page: Any) -> None:
    assert python_of(one_page, "budget=0&align=0")["config"].method == "lwf"
    assert issubclass(LwF, METHODS["lwf"])
    assert not issubclass(Joint, ReplayKD)


# For everybody


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_the_laboratory_is_open_to_everyone(width: int, theme: str, visit: Visit) -> None:
    import axe_playwright_python

    page = visit(SHORT, width=width)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    if theme == "dark":
        page.add_style_tag(
            content="html{background:#14181e;color:#ced6dd;color-scheme:dark;"
            "--pst-color-background:#14181e;--pst-color-text-base:#ced6dd}"
        )
    train(page)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert {rule["id"]: [node["html"][:120] for node in rule["nodes"]][:3] for rule in found} == {}


def test_on_a_phone_one_picture_is_shown_and_all_can_be_reached_by_keys(visit: Visit) -> None:
    page = visit(width=390)
    panels = page.locator(".lab-panel:visible")
    seen = [panels.get_attribute("data-panel")]
    page.locator('[role="tab"][aria-selected="true"]').focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        seen.append(panels.get_attribute("data-panel"))
    assert sorted(seen) == ["confusion", "digits", "draw", "lengths", "memory", "stages"]


def test_on_a_phone_nothing_sticks_out_and_thumbs_can_hit_what_is_there(visit: Visit) -> None:
    page = visit(width=390, has_touch=True)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    touched = "button, summary, label:has(input), input[type=range]"
    small = page.locator(".cil-lab").evaluate(
        """(lab, touched) => [...lab.querySelectorAll(touched)].filter((e) => {
            const { width, height } = e.getBoundingClientRect();
            return e.offsetParent && Math.min(width, height) < 43.5;
        }).map((e) => e.outerHTML.slice(0, 80))""",
        touched,
    )
    assert small == []


def test_the_status_speaks_at_the_end_of_a_stage_and_not_at_each_step(visit: Visit) -> None:
    page = visit("epochs=3")
    page.locator(".lab-says").evaluate(
        """(words) => {
            window.said = 0;
            new MutationObserver(() => { said += 1; }).observe(words, { childList: true });
        }"""
    )
    train(page)
    assert page.evaluate("said") == 6, "five stages, and the whole"
    quiet = ".cil-lab output:not([aria-live='off']), .cil-lab [aria-live='polite']"
    assert page.locator(quiet).count() == 0, "nothing else speaks"


def test_without_javascript_there_is_a_sentence_and_a_table(visit: Visit) -> None:
    page = visit(java_script_enabled=False)
    assert (
        "that takes JavaScript, which is switched off here" in page.locator("noscript").inner_text()
    )
    assert page.locator(".lab-expect table").is_visible()
    assert not page.locator(".lab-train").is_visible()


def test_the_table_shows_the_stored_runs() -> None:
    html = laboratory()._repr_html_()
    for method, found in ladder().items():
        assert len(found["browser"]) == len(found["python"]) == 10
        row = html.split(f">{method}</th>")[1].split("</tr>")[0]
        assert spread(found["browser"]) in row
        assert spread(found["python"]) in row


def test_print_shows_all_pictures_and_no_controls(visit: Visit) -> None:
    page = visit(SHORT)
    train(page)
    page.emulate_media(media="print")
    assert page.locator(".lab-panel:visible").count() == 6
    assert not page.locator(".lab-train").is_visible()
    assert not page.locator(".lab-controls").is_visible()


def test_two_laboratories_do_not_disturb_each_other(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "two.html"
    path.write_text(
        f"<!DOCTYPE html><meta charset='utf-8'>{2 * laboratory()._repr_html_()}", "utf-8"
    )
    context = browser.new_context(offline=True)
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(path.as_uri())
    assert page.locator('.cil-lab[data-mode="worker"]').count() == 2
    assert trouble == []
    context.close()


def test_the_page_carries_nothing_that_html_or_json_would_stumble_over() -> None:
    html = laboratory()._repr_html_()
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert len(json.loads(data[0])["labels"]) == 1797
    assert html.count("</script>") == html.count("<script") == 2


# Links from the chapters


LINKS = [
    (path.stem, hash_)
    for path in sorted((Path(__file__).parents[1] / "book").glob("0[2-5]_*.ipynb"))
    for hash_ in re.findall(r"lab\.md#([^)]+)\)", path.read_text("utf-8"))
]


def test_each_chapter_on_a_knob_opens_the_laboratory_twice() -> None:
    assert {name: sum(name == one for one, _ in LINKS) for name, _ in LINKS} == {
        "02_forgetting": 2,
        "03_exemplars": 2,
        "04_distillation": 2,
        "05_alignment": 2,
    }


@pytest.mark.parametrize(("chapter", "hash_"), LINKS)
def test_a_chapters_link_is_understood(chapter: str, hash_: str, visit: Visit) -> None:
    page = visit(hash_)
    assert page.locator(".lab-wrong").text_content() == ""
    assert page.evaluate("location.hash") == f"#{hash_}"


def test_a_link_to_settings_is_written_as_html_across_the_lines_of_a_notebook() -> None:
    path = Path(__file__).parents[1] / "book" / "_ext" / "links.py"
    spec = spec_from_file_location("links", path)
    assert spec is not None and spec.loader is not None
    extension = module_from_spec(spec)
    spec.loader.exec_module(extension)
    source = ['["Guess: [at\\n",\n "random](../lab.md#T=4&t2=0)."]']
    extension.lead_to_the_place(None, "", source)
    assert json.loads(source[0]) == ["Guess: <a href='../lab.html#T=4&t2=0'>at\n", "random</a>."]
