"""
The Neo dialect from outside, over HTTP alone.

Where each acceptance check of contracts/neo.md section 10 is tested (paths from ``tests/``; held to be true by
``tests/architecture/test_acceptance.py``):

 1  e2e/neo/test_access.py::test_every_route_but_health_and_attestation_wants_a_valid_key
 2  e2e/neo/test_functions.py::test_the_sample_of_the_published_page_is_created_as_it_shows
 2  e2e/neo/test_sdk.py::test_the_sdk_does_what_the_service_offers
 3  e2e/test_bad_input.py::test_a_bad_neo_field_is_named_and_nothing_is_created
 3  e2e/test_bad_input.py::test_a_missing_neo_field_is_named
 4  e2e/neo/test_functions.py::test_a_name_of_64_characters_is_taken_once
 5  e2e/neo/test_functions.py::test_code_that_does_not_compile_is_refused_at_create_and_at_update
 6  e2e/neo/test_functions.py::test_a_list_has_its_defaults_and_says_if_there_is_more
 6  e2e/neo/test_functions.py::test_a_list_is_filtered_and_sorted
 6  e2e/neo/test_functions.py::test_a_bad_parameter_of_a_list_is_refused_and_named
 7  e2e/neo/test_functions.py::test_items_of_a_list_show_no_code_environment_secrets_or_timeout
 8  e2e/neo/test_functions.py::test_code_is_shown_when_asked_for_and_exactly
 9  e2e/neo/test_functions.py::test_an_update_changes_what_it_names_and_the_next_run_uses_it
 9  e2e/neo/test_functions.py::test_an_update_is_all_or_nothing
10  e2e/neo/test_functions.py::test_a_deleted_function_is_gone_from_every_route
10  e2e/neo/test_invocations.py::test_deleting_a_function_ends_what_it_runs
11  e2e/neo/test_invocations.py::test_a_synchronous_run_answers_with_its_execution_and_result
11  e2e/neo/test_invocations.py::test_params_that_are_left_out_are_an_empty_object
11  e2e/neo/test_invocations.py::test_params_that_are_no_object_are_refused
12  e2e/test_neo.py::test_results_that_look_like_nothing_come_back_exactly
13  e2e/test_neo.py::test_an_error_of_the_function_names_the_line_of_its_author
13  integration/engine/test_neo.py::test_errors_keep_their_name_and_the_authors_line
14  e2e/test_bad_input.py::test_a_result_that_is_not_json_is_the_functions_failure
15  e2e/test_hostile_functions.py::test_a_neo_run_over_its_time_fails_as_documented
15  e2e/test_hostile_functions.py::test_others_are_answered_while_a_function_loops
16  e2e/test_hostile_functions.py::test_a_neo_function_that_eats_memory_names_the_limit
16  e2e/test_hostile_functions.py::test_a_node_function_that_eats_memory_is_stopped_and_told_so
17  e2e/test_hostile_functions.py::test_a_function_that_exits_is_told_how_it_ended
17  e2e/neo/host/test_random.py::test_code_that_goes_around_the_runtime_only_harms_itself
17  integration/engine/test_neo.py::test_timers_of_a_finished_run_do_not_fire
17  e2e/neo/test_survival.py::test_a_million_log_lines_harm_nobody
18  e2e/test_neo.py::test_nothing_of_one_run_is_left_for_the_next
18  integration/engine/test_neo.py::test_nothing_is_shared_between_runs
19  e2e/test_hostile_functions.py::test_the_host_is_out_of_sight
19  e2e/neo/host/test_web.py::test_fetch_reaches_nothing_else
20  e2e/neo/test_invocations.py::test_an_asynchronous_run_is_seen_running_and_then_what_became_of_it
20  e2e/neo/test_invocations.py::test_an_asynchronous_run_that_throws_is_failed_with_its_error
21  e2e/neo/test_invocations.py::test_executions_are_listed_newest_first_by_status_by_date_and_in_pages
21  e2e/neo/test_invocations.py::test_a_bad_parameter_of_executions_is_refused_and_named
21  e2e/neo/test_invocations.py::test_an_execution_shows_its_logs_and_its_result
22  e2e/test_logs.py::test_levels_are_kept
22  e2e/test_logs.py::test_logs_survive_a_run_that_fails_or_is_killed
22  e2e/test_logs.py::test_what_a_function_prints_is_never_its_answer
23  e2e/neo/test_functions.py::test_the_environment_is_replaced_and_reaches_the_next_run
24  e2e/neo/test_secrets.py::test_a_value_reaches_only_functions_that_list_it_and_only_while_they_do
24  e2e/neo/test_secrets.py::test_a_value_is_in_no_log_line_and_no_error_however_the_run_ends
24  e2e/neo/test_master_key.py::test_nothing_confided_is_on_disk_in_clear_and_its_master_key_can_be_replaced
25  e2e/neo/test_invocations.py::test_stats_count_three_good_runs_and_a_bad_one
26  e2e/test_neo.py::test_fifty_parallel_calls_each_get_their_own_answer
27  e2e/neo/test_access.py::test_a_key_may_do_what_its_permissions_name_and_nothing_else
27  e2e/neo/test_access.py::test_nothing_of_another_account_exists
27  e2e/neo/test_api_keys.py::test_a_revoked_key_is_refused_at_once_in_both_headers
28  e2e/neo/test_rate_limits.py::test_too_many_requests_of_a_key_are_refused_with_the_wait_and_answered_after_it
29  e2e/neo/test_host_services_absent.py::test_a_service_without_its_setting_is_unavailable_and_that_can_be_caught
29  e2e/neo/host/test_chain.py::test_balances_of_the_treasury_of_a_fresh_address_and_after_a_transfer
29  e2e/neo/host/test_chain.py::test_a_bad_address_is_refused_and_can_be_caught
30  e2e/neo/host/test_random.py::test_a_thousand_random_numbers_stay_inside_and_their_proof_is_the_platforms
31  e2e/neo/test_attestation.py::test_anybody_gets_it_with_their_nonce_and_it_is_honest
31  e2e/neo/test_attestation.py::test_its_signature_verifies_in_node_and_no_more_with_one_member_changed
31  e2e/neo/test_receipts.py::test_a_receipt_verifies_everywhere_and_no_more_with_one_member_changed
32  e2e/neo/test_restart.py::test_functions_history_stats_and_secrets_outlive_a_kill_and_a_run_cut_off_is_failed
33  e2e/neo/test_survival.py::test_a_body_that_cannot_be_taken_is_an_invalid_request_and_nothing_runs
33  e2e/neo/test_survival.py::test_a_run_whose_client_hangs_up_goes_on_to_its_end
"""
