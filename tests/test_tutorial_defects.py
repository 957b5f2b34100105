"""The defects of the tutorial that this course grew from, and the tests that keep them out."""

import ast
from pathlib import Path

import cilkit

# Defect -> module::function. The numbers are those of the study of the old code.
TESTED = {
    # Exemplars were herded on augmented images, differently in each process.
    "T1": "test_methods::test_exemplars_are_herded_on_clean_images_in_evaluation_mode",
    # The option for a dynamic lambda was parsed and never read.
    "T3": "test_methods::test_the_losses_are_weighted_as_the_settings_say",
    # The loss was CE + lambda T^2 KD, documented as (1 - lambda) CE + lambda KD.
    "T4": "test_methods::test_the_losses_are_weighted_as_the_settings_say",
    # CIFAR was normalised with the statistics of ImageNet.
    "T5": "test_transforms::test_timm_normalises_with_the_statistics_of_the_data_set_in_use",
    # A second normalisation took the place of random erasing.
    "T6": "test_transforms::test_what_random_erasing_leaves_is_normalised_once",
    # The class order had a hundred entries whatever the data set.
    "T7": "test_data::test_an_order_from_a_seed_holds_each_class_of_the_data_set_once",
    # The networks crashed on images larger than 32 pixels.
    "T8": "test_model::test_a_residual_network_makes_64_features_of_images_of_any_size",
    # A data set that was promised did not exist.
    "T9": "test_data::test_every_preset_names_a_data_set_that_exists",
    # A budget for each class always raised an error.
    "T10": "test_methods::test_a_budget_per_class_is_kept_through_a_whole_run",
    # Without base classes, the heads did not fit the stages.
    "T11": "test_methods::test_a_run_without_a_base_starts_with_an_increment",
    # Heads had a bias, which alignment left as it was.
    "T14": "test_model::test_heads_have_no_bias_unless_it_is_asked_for",
    # Weight clipping was missing.
    "T15": "test_methods::test_weights_are_clipped_at_zero_only_when_asked",
    # Nothing kept gamma from being 0, infinite or not a number.
    "T16": "test_model::test_a_gamma_that_would_ruin_the_prototypes_is_refused",
    # A class smaller than its share got duplicates, more of them in each stage.
    "T18": "test_memory::test_no_exemplar_is_kept_twice_even_of_a_class_smaller_than_its_share",
    # Colour jitter had no effect.
    "T22": "test_transforms::test_color_jitter_changes_colours_where_no_policy_takes_its_place",
    # The numbers printed were those of the model before its alignment.
    "T23": "test_methods::test_a_stages_result_is_that_of_the_aligned_model",
    # Each step waited for four numbers and for the other processes.
    "T26": "test_methods::test_an_epoch_reads_numbers_back_once_and_not_in_each_step",
    # A mean over batches gave a small last batch the weight of a whole one.
    "T28": "test_metrics::test_a_mean_weighs_each_batch_by_its_size",
    # Features were extracted with gradients.
    "T29": "test_model::test_features_of_samples_ask_for_no_gradient",
    # Workers were started anew in each epoch.
    "T30": "test_transforms::test_workers_live_from_one_epoch_to_the_next",
    # A bare except hid that the name in the try block did not exist.
    "T34": "test_tutorial_defects::test_no_error_is_caught_without_being_named",
    # Loading a data set twice looked in another folder the second time.
    "T35": "test_data::test_loading_digits_twice_gives_the_same",
    # The budget was exceeded as many times as there were processes.
    "T2": "test_distributed::test_all_processes_end_with_the_same",
    # The device was chosen by the global rank, which fails on a second machine.
    "T12": "test_distributed::test_the_gpu_is_that_of_the_rank_on_this_machine",
    # Nothing ran without torchrun.
    "T13": "test_run::test_a_run_yields_a_record_for_each_epoch_and_stage",
    # Evaluation counted some images twice.
    "T17": "test_distributed::test_the_same_weights_see_the_same_whatever_the_number_of_processes",
    # All processes drew the same augmentation.
    "T19": "test_distributed::test_augmentation_differs_between_processes",
    # The batch grew with the number of processes.
    "T20": "test_distributed::test_an_epoch_deals_every_sample_to_exactly_one_process",
    # Results were printed, and lost.
    "T24": "test_run::test_the_file_of_records_holds_what_was_yielded",
    # Nothing could be resumed.
    "T25": "test_run::test_a_resumed_run_equals_the_uninterrupted_one",
    # Means were exchanged meter by meter, and grew when asked for twice.
    "T27": "test_metrics::test_a_mean_weighs_each_batch_by_its_size",
    # The default folder was one of the author's machine.
    "T31": "test_cli::test_bad_input_gets_one_sentence",
    # Batch-norm statistics were those of one process.
    "T32": "test_distributed::test_all_processes_end_with_the_same",
    # The message about an unknown network was itself an error.
    "T33": "test_model::test_an_unknown_backbone_is_refused_with_the_known_ones",
    # print was replaced for the whole program.
    "T37": "test_cli::test_print_stays_what_it_is",
    # Processes left without saying goodbye, which torch warns of.
    "T38": "test_cli::test_two_processes_do_the_same_work_under_torchrun",
    # The program could not be imported.
    "T39": "test_readability::test_importing_cilkit_leaves_the_number_of_threads_alone",
    # Options were parsed and never read.
    "T40": "test_readability::test_every_setting_is_read_somewhere",
    # Dependencies were missing from the list.
    "T44": "test_readability::test_every_import_is_declared",
}

# Defect -> why no test of the code can find it.
UNTESTED = {
    "T21": "text and default disagreed on the epochs: presets are the only place that names them",
    "T36": "a logger called itself for ever when copied: there is no such logger",
    "T41": "a link led to another paper: a test cannot know what an address should lead to",
    "T42": "the text listed four of five arguments: the book includes code, and retells none",
    "T43": "formulas and terms in the text were wrong or missing: for a reader to check",
    "T45": "there were no tests, no package and no results: this suite is the answer",
}


def functions_of(module: str) -> set[str]:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_here_exists() -> None:
    named = {tuple(name.split("::")) for name in TESTED.values()}
    missing = [f"{module}::{test}" for module, test in named if test not in functions_of(module)]
    assert missing == []


def test_no_error_is_caught_without_being_named() -> None:
    """Neither `except:` nor `except Exception:`, which hide the mistakes of the code itself.

    Unless it is raised again, or comes from somebody's own object: `repr` may raise anything.
    """
    too_wide = []
    for path in Path(cilkit.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = "everything" if node.type is None else ast.unparse(node.type)
                hidden = not isinstance(node.body[-1], ast.Raise) and path.name != "errors.py"
                if caught in ("everything", "Exception", "BaseException") and hidden:
                    too_wide.append(f"{path.name}:{node.lineno} catches {caught}")
    assert too_wide == []
