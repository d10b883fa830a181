"""
The Extra Horizon dialect from outside, mostly through the unmodified SDK of its makers.

Where each acceptance check of contracts/extrahorizon.md section 13 is tested: ``<noun>.test.js`` is a program of
``sdk/``, with one of its cases; other paths are from ``tests/``. Held to be true by
``tests/architecture/test_acceptance.py``.

 1  tokens.test.js::logging in gives both tokens, their lifetime and who they are for
 1  tokens.test.js::a token answer is not to be cached and has no keys but the published
 2  tokens.test.js::a wrong password and an unknown user are refused alike
 2  tokens.test.js::an unknown client is refused
 2  tokens.test.js::a bad token request says what is wrong with it
 3  tokens.test.js::a refresh gives two new tokens and uses the old one up
 3  tokens.test.js::a client with a bad access token and a good refresh token recovers by itself
 3  tokens.test.js::many requests at once with a bad access token all recover
 4  tokens.test.js::without a token nobody is logged in
 4  tokens.test.js::an unknown bearer token is told as one
 5  oauth1.test.js::logging in gives a token that signs
 5  oauth1.test.js::a listing is signed whatever stands in its query
 5  oauth1.test.js::what is wrong with a login is told
 5  oauth1.test.js::what is wrong with a signed request is told
 5  oauth1.test.js::a copy of a signed request is refused
 5  unit/api/test_oauth1_signature.py::test_5_the_vectors_of_the_contract
 5  integration/api_extrahorizon/test_oauth1.py::test_5_what_is_wrong_with_a_signature_is_told_by_number
 6  cli.test.js::login, whoami, sync twice, list and delete
 7  functions.test.js::creating from a zip shows every field and no code
 7  functions.test.js::what is left out has its published default
 8  functions.test.js::a taken name is refused and the function stays as it is
 8  functions.test.js::what is no zip is refused
 8  functions.test.js::a missing field is refused and named
 8  functions.test.js::a wrong field is refused and named
 8  functions.test.js::an environment of 5 KB is refused and one of 4096 bytes is not
 9  functions.test.js::the list has every function in one page with three fields each
 9  functions.test.js::an update changes what it names and ignores what it does not know
 9  functions.test.js::a removed function is gone from every call
10  functions.test.js::a disabled function is not called and an enabled one again
11  api.test.js::every method of the SDK reaches the function with its path and its query
11  api.test.js::OPTIONS reaches the function and HEAD does without a body
12  api.test.js::path and query are not decoded and the root has two forms
12  api.test.js::the SDK puts a slash before a path that has none
13  api.test.js::every body arrives exactly and is always a string
13  api.test.js::what axios sends for each kind of body arrives
14  api.test.js::header names are lower case and values stay as they are
14  api.test.js::who is asking is told by the platform and cannot be forged
15  api.test.js::what a function returns becomes an answer
15  api.test.js::a binary body comes out of Base64
15  api.test.js::the SDK reads a binary answer whole
15  api.test.js::headers that belong to the connection are computed and never those of the function
16  api.test.js::every status from 200 to 499 passes
16  api.test.js::a function's own 404 is an error of the SDK with its body
17  api.test.js::each broken rule of an answer is refused by its name and recorded
17  api.test.js::a status out of range is told in the published words with the returned value
17  api.test.js::every character a header value may have passes and every other is refused
18  runs.test.js::what the code throws is told with its own name and message
18  runs.test.js::code that cannot be started is told with the names of the runtime
18  runs.test.js::a process that ends takes its own run with it and no other
18  runs.test.js::a rejection nobody handles fails the run it happens in
19  runs.test.js::a run over its time is stopped, told with its seconds, and the next one starts anew
19  e2e/test_hostile_functions.py::test_a_function_that_loops_for_ever_is_stopped_at_its_limit
19  e2e/test_hostile_functions.py::test_children_of_a_function_die_with_its_time
20  runs.test.js::a function with a time limit over 30 s is refused when it is called
20  tasks.test.js::a function with a time limit over 30 s runs as a task
21  runs.test.js::a request of 4 MB passes whole and one of 6.5 MB is refused
21  runs.test.js::an answer of 5 MB passes and one of 7 MB is refused
22  api.test.js::another method is no endpoint
23  runs.test.js::Express behind serverless-http answers GET and POST as the vendor's sample has it
24  runs.test.js::a Python function answers and its exceptions keep their class names
25  runs.test.js::four calls of two seconds at once take about two seconds
26  requests.test.js::a record has every published field and those of nobody are absent
26  requests.test.js::every operator finds what it says
26  requests.test.js::values with spaces and signs of every kind come through
26  requests.test.js::an order is kept in both directions and by several fields
26  requests.test.js::pages have a limit, an offset and a total
26  requests.test.js::only the selected fields are shown
26  requests.test.js::the SDK walks through pages and finds one record
26  requests.test.js::findAll gathers more than one page holds
26  requests.test.js::broken RQL is refused and said to be
27  requests.test.js::log lines have the form of the real ones and share the id of their run
27  requests.test.js::log lines can be asked for from a moment on and in no other way
27  requests.test.js::logs of an unknown or malformed id and of a silent call are told apart
28  tasks.test.js::a task is new with every field and complete soon after
28  tasks.test.js::the function gets the task for its event and what it writes is shown
28  tasks.test.js::tasks are found by tags and by what is in their data
28  tasks.test.js::log lines can be asked for from a moment on and in no other way
29  tasks.test.js::a task that throws has failed and says why
29  tasks.test.js::a silent task has no log lines and a waiting one has not run
29  tasks.test.js::an unknown task and a malformed id are told apart
30  tasks.test.js::a task that is due later waits until then
30  tasks.test.js::a task is called off before it begins and not twice
31  retries.test.js::a failing task is tried three times more, after 2, 5 and 10 seconds
31  retries.test.js::another error, and a policy that is off, are no reason to try again
32  tasks.test.js::a priority is the one of the task, else of the function, else 0
32  e2e/extrahorizon/test_order.py::test_tasks_that_wait_run_by_priority_then_by_the_time_they_were_due
32  e2e/extrahorizon/test_order.py::test_tasks_that_wait_run_by_priority_then_by_the_time_they_were_due
32  integration/database/test_task_queue.py::test_a_higher_priority_goes_first_and_then_what_was_due_earlier
33  retries.test.js::a schedule makes a task each interval until it is removed
34  execute.test.js::executing gives the finished task with its result
34  execute.test.js::executing needs no data and no body
34  execute.test.js::what the function throws is told with its task, which has failed
34  execute.test.js::a result may be any JSON, and nothing is null
34  e2e/extrahorizon/test_order.py::test_one_direct_execution_too_many_is_refused_at_once
35  execute.test.js::the mode of a function says who may execute it
35  modes.test.js::a public function is called by anybody
35  modes.test.js::a function for all users is called by whoever is logged in
35  modes.test.js::any other function wants the permission and says which one
35  modes.test.js::the permission for one function opens that function only
36  e2e/test_restart.py::test_a_second_start_has_the_functions_the_records_and_the_logs
36  e2e/test_restart.py::test_tasks_and_schedules_outlive_a_crash_and_the_task_it_cut_off_is_told_so
"""
