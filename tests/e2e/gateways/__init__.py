"""
The Gateways dialect from outside, over HTTP alone.

Where each acceptance check of contracts/gateways.md section 9 is tested (paths from ``tests/``; held to be true by
``tests/architecture/test_acceptance.py``). The providers of check 53 are those there are: this installation and AWS.

integration/api_gateways/test_access.py
    1 2 3   test_functions_are_listed_with_a_session_or_a_key_and_with_nothing_else
    5       test_a_place_that_is_not_there_and_one_of_others_are_told_apart
    6       test_each_role_may_do_with_functions_what_it_allows
integration/api_gateways/test_sessions.py
    2       test_without_a_valid_credential_everything_is_refused
    2       test_logging_out_ends_the_session_at_once_and_no_other
    4       test_a_key_acts_as_its_user_in_either_header_until_it_is_revoked
    4       test_the_eleventh_key_is_refused_however_many_ask_at_once
integration/api_gateways/test_intruders.py
    5       test_strangers_get_at_nothing_by_its_path
    6       test_every_operation_of_a_workspace_asks_for_what_a_role_must_allow
    27      test_what_is_in_one_environment_is_in_no_other_of_the_same_people
integration/gateways_functions/test_functions.py
    6       test_what_a_role_does_not_allow_is_refused
    8       test_a_project_without_a_cloud_makes_nothing
    11      test_the_documented_fields_make_a_function_that_is_soon_active
    18 19 20  test_a_wrong_field_makes_nothing
    18      test_a_wrong_field_asks_nothing_of_the_cloud
    19 20   test_the_architecture_is_x86_64_when_it_is_not_given_and_inactive_runtimes_are_taken
    21      test_a_name_is_cleaned_for_the_cloud_and_kept_as_a_label
    22      test_a_taken_name_is_a_conflict_and_the_first_is_unharmed
    23      test_code_in_the_body_is_ignored
    24      test_a_function_begins_with_the_starter_of_its_runtime
    26      test_a_locked_value_is_shown_nowhere_and_is_what_the_function_gets
    27      test_an_id_that_is_none_is_400_and_one_that_is_elsewhere_404
    28      test_limits_are_changed_and_shown
    29      test_a_wrong_change_changes_nothing
    31      test_moving_on_the_canvas_deploys_nothing
integration/api_gateways/test_projects.py
    7       test_a_project_gets_a_slug_and_an_environment
    7       test_slugs_are_shared_by_all_users_and_given_out_once
integration/api_gateways/test_connections.py
    9       test_completing_a_connection_enters_the_account
    9       test_a_connection_needs_an_account_and_a_name
    10      test_an_account_that_does_not_let_us_in_is_a_failed_connection_that_may_be_tried_again
    52      test_neither_a_link_nor_a_connection_goes_while_a_function_lives_there
integration/gateways_functions/test_clouds.py
    12 13 26  test_a_function_is_made_in_the_account_and_becomes_active_by_itself
    17      test_without_a_url_the_function_is_made_all_the_same
    21      test_a_name_is_cleaned_for_the_account
    22      test_a_name_that_the_account_has_already_is_a_conflict
    24      test_every_runtime_of_the_catalogue_may_be_asked_for_and_has_its_starter
    28 30 31  test_changes_reach_the_account_and_a_move_does_not
    32 37   test_uploads_and_files_reach_the_account
    38      test_a_refused_change_leaves_the_old_files_and_the_old_configuration
    41      test_a_sync_takes_over_what_was_changed_behind_our_back
    42 45   test_a_function_deleted_behind_our_back_is_failed_after_a_sync
    43      test_a_sync_needs_a_connection_that_is_active
    44 45   test_a_delete_is_denied_or_done
    50      test_a_role_that_cannot_be_assumed_is_named_with_its_trust
    50      test_a_create_that_the_account_refuses_says_why_and_leaves_no_row
integration/gateways_functions/test_execution_role.py
    14 15 16  test_functions_run_as_the_role_that_the_settings_name
integration/gateways_functions/test_secrets.py
    26      test_what_is_secret_is_kept_and_logged_nowhere_in_the_clear
integration/gateways_functions/test_patience.py
    54      test_ten_uploads_at_once_leave_the_same_files_here_and_at_the_cloud
integration/gateways_functions/test_shapes.py
    53      test_a_function_here_and_one_at_aws_are_told_of_in_the_same_words
integration/cloud/test_aws_moto.py
    13 53   test_a_function_lives_its_life_in_the_customers_account
integration/cloud/test_aws_provider.py
    14      test_another_execution_role_is_used_if_it_is_in_the_account
    16      test_the_url_is_public_and_open_to_all_origins
integration/cloud/test_sessions.py
    15      test_an_account_is_entered_by_the_external_id_of_its_connection
e2e/gateways/test_functions.py
    25      test_the_starter_runs
integration/gateways_functions/test_files.py
    32 33   test_an_upload_replaces_every_file_by_the_text_files_of_the_zip
    34 35   test_what_is_no_zip_of_text_with_safe_paths_is_refused_and_changes_nothing
    36      test_a_bomb_and_a_body_that_is_too_large_are_refused
    37      test_a_file_is_made_read_changed_renamed_and_deleted_and_each_time_deployed
    37      test_a_change_that_cannot_be_is_refused_and_changes_nothing
    54      test_ten_uploads_at_once_leave_one_of_them_whole
unit/packages/test_files.py
    36      test_a_bomb_is_refused_in_little_memory
integration/gateways_functions/test_resources.py
    39      test_a_function_is_in_every_list_it_belongs_to_and_in_no_other
    40      test_a_resource_is_relabelled_and_moved_and_keeps_its_cloud_name
    44      test_a_deleted_function_is_nowhere_and_its_name_is_free
    46      test_only_the_unified_delete_deletes
integration/api_gateways/test_resource_connections.py
    44      test_the_connections_of_a_deleted_function_go_in_both_directions
integration/api_gateways/test_plans.py
    47      test_the_sixth_function_is_refused_on_the_free_plan_until_one_is_deleted
integration/api_gateways/test_catalogue.py
    48 49   test_catalogues_are_told_to_anybody
    49      test_with_a_workspace_the_types_of_resources_say_whether_the_caller_may_make_one
integration/gateways_functions/test_invoke.py
    51      test_a_payload_goes_in_and_the_result_comes_out_with_the_log
"""
