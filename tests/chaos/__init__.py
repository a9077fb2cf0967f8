"""Trouble on purpose, with real processes and real browsers: what must hold, and the tests that hold it.

Every night of these tests ends with the questions of `tests.end_to_end.harness`: does the run directory hold each
reference once, in its state, with the website's own bytes; was no charge made that `tracking.json` does not tell; did
every reference come home in time after its first attempt; is no process, temporary folder, staged file, descriptor,
socket or connection left, whoever may hold it. Each test then asks for what the log and the ledger say the cause was.

A line is a trouble, and below it the tests in which it happens; ``test_table.py`` finds out whether they exist, and
whether a test of this folder is missing here. What is too long to be real is in `tests/simulation` as well.

a renderer is killed
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[renderer-killed]
    worker/test_worker_deaths.py::test_a_crashed_page_is_replaced
a renderer is frozen
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[renderer-frozen]
a script of the page never ends
    chaos/test_site_troubles.py::test_what_never_ends_is_ended[endless-script]
    worker/test_worker.py::test_an_endless_script_is_found_long_before_the_deadline
a page is closed while it moves on by itself, twenty times
    chaos/test_browser_habits.py::test_pages_that_move_on_at_once_never_hang_a_worker
    worker/test_browser.py::test_one_feature_is_disabled_beside_all_of_playwrights_own
a page's close never ends
    worker/test_worker.py::test_a_page_whose_close_never_ends_goes_with_its_context
a browser is killed
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[browser-killed]
    worker/test_worker_deaths.py::test_a_killed_browser_is_replaced_with_its_session
a browser is frozen
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[browser-frozen]
    worker/test_worker_deaths.py::test_a_frozen_browser_is_killed_and_replaced
Playwright's driver is killed
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[driver-killed]
    worker/test_worker_deaths.py::test_the_child_ends_when_its_driver_dies
Playwright's driver is frozen
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[driver-frozen]
the network service is killed, or frozen
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[network-service-killed]
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[network-service-frozen]
a child is killed
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[child-killed]
a child is frozen
    chaos/test_deaths.py::test_a_blow_in_mid_run_loses_nothing[child-frozen]
a child is killed beside its frozen browser
    chaos/test_deaths.py::test_a_child_killed_beside_its_frozen_browser_leaves_no_browser
    shell/test_trees.py::test_a_frozen_browser_dies_with_its_tree
a child spins in Python
    end_to_end/test_nights.py::test_a_stuck_child_is_killed_and_its_reference_recovered[Spins-frozen]
a child waits in a blocking call, or holds the interpreter's lock in C
    end_to_end/test_nights.py::test_a_stuck_child_is_killed_and_its_reference_recovered[Blocks-frozen]
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[holds-the-lock-in-c]
    shell/test_evidence.py::test_the_stacks_of_a_child_that_holds_the_lock
a child turns in circles in asyncio, or ignores that it is cancelled
    end_to_end/test_nights.py::test_a_stuck_child_is_killed_and_its_reference_recovered[Stubborn-]
    worker/test_worker_deaths.py::test_a_recipe_that_refuses_to_end_costs_the_process
a child ends by a segmentation fault, or by os._exit
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[segfault]
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[ends]
a child writes garbage, or half a frame of 8 MB with a copy of the pipe still open
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[garbage-on-the-pipe]
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[torn-frame-and-a-copy-of-the-pipe]
    shell/test_processes.py::test_half_a_frame_and_a_held_descriptor_hide_no_death
a child says without an end what are messages all right, of other attempts, errands and browsers
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[flood-of-messages]
a child says a message byte by byte, so that it never comes to its end
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[a-message-that-trickles]
a recipe fails with a text of ten megabytes
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[ten-megabytes-of-text]
a child is stopped and its pipe is full
    shell/test_processes.py::test_a_stopped_child_and_a_full_pipe_block_nobody
a child dies after its answer
    chaos/test_children.py::test_an_answer_counts_although_its_worker_is_dead
    shell/test_processes.py::test_a_result_sent_before_the_death_is_read
an answer comes late, twice, or from an incarnation that was given up
    chaos/test_children.py::test_answers_that_nobody_waits_for_change_nothing
    simulation/test_mistakes.py::test_finds_the_mistake[accepts_an_answer_of_a_dead_attempt]
a reference kills every child
    chaos/test_children.py::test_a_reference_that_kills_every_worker_fails_with_that_verdict
no child ever starts, for want of a browser or with a broken recipe
    chaos/test_children.py::test_workers_that_never_start_end_the_run_and_not_the_references
    chaos/test_children.py::test_a_browser_that_goes_away_in_mid_run_ends_the_run_and_not_the_references
    end_to_end/test_refusals.py::test_a_browser_that_is_none_is_refused
a worker fails where others succeed
    chaos/test_children.py::test_a_worker_that_fails_where_others_succeed_is_made_afresh
a recipe cannot recover
    chaos/test_children.py::test_a_recipe_that_cannot_recover_gets_another_browser
a child's memory passes its limit in mid-task
    chaos/test_children.py::test_a_worker_that_takes_too_much_memory_is_killed
the kernel kills for want of memory
    chaos/test_outside.py::test_a_page_that_the_kernel_kills_for_want_of_memory_costs_one_attempt
memory runs short
    chaos/test_outside.py::test_a_machine_without_memory_to_spare_lets_workers_go_and_completes
    chaos/test_outside.py::test_a_tight_control_group_sheds_workers_until_there_is_room
dialogs that nobody answers, and alert boxes without end
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[unanswered-dialog]
    worker/test_worker.py::test_alert_boxes_without_end_are_left_behind
    chaos/test_site_troubles.py::test_what_is_harmless_costs_nothing
variables in the environment that mislead the driver
    chaos/test_site_troubles.py::test_what_is_harmless_costs_nothing
a handler of events raises
    chaos/test_children.py::test_a_child_that_goes_wrong_costs_one_attempt[handler-that-raises]
a download stalls
    chaos/test_site_troubles.py::test_what_never_ends_is_ended[stalled-download]
    worker/test_worker.py::test_a_download_that_stops_moving_is_cancelled
a download is cut off: before its length, in chunks, without any promise; it is empty, or a web page
    chaos/test_site_troubles.py::test_what_strikes_once_costs_its_reference_one_attempt
    worker/test_worker.py::test_what_the_site_does_wrong_is_named_and_needs_no_recovery
    worker/test_papers.py::test_half_a_document_is_no_document_whatever_was_promised
401, 404 or 500 comes as an attachment
    worker/test_worker.py::test_what_the_site_does_wrong_is_named_and_needs_no_recovery
    worker/test_worker.py::test_the_status_of_the_page_decides
204 comes in the place of a document
    worker/test_papers.py::test_an_answer_without_content_is_no_document
what is broken stays broken
    chaos/test_site_troubles.py::test_what_is_broken_for_good_has_failed_with_its_cause
429 with Retry-After
    chaos/test_site_troubles.py::test_a_site_that_asks_for_patience_gets_it
limits on references and requests, hours without work
    chaos/test_outside.py::test_limits_on_references_and_requests_hold
    chaos/test_outside.py::test_nothing_is_handed_out_in_quiet_hours
the session expires in mid-run
    chaos/test_site_troubles.py::test_a_session_stolen_twice_costs_two_logins
    chaos/test_site_troubles.py::test_each_worker_logs_in_for_itself_where_the_recipe_says_so
the session is stolen twice
    chaos/test_site_troubles.py::test_a_session_stolen_twice_costs_two_logins
two hundred links into new tabs
    chaos/test_browser_habits.py::test_two_hundred_links_into_new_tabs_leave_no_tab_behind
a PDF that the full browser shows in its viewer
    chaos/test_browser_habits.py::test_a_pdf_that_opens_inline_comes_home_all_the_same
the supervisor is killed at work, at random instants, at rest
    end_to_end/test_nights.py::test_a_killed_supervisor_goes_on_where_it_was
    chaos/test_supervisor_deaths.py::test_a_supervisor_killed_at_random_instants_completes_all_the_same
    chaos/test_supervisor_deaths.py::test_a_supervisor_killed_while_everybody_rests_leaves_nothing
the supervisor is killed beside a child that holds the interpreter's lock in C
    chaos/test_supervisor_deaths.py::test_a_supervisor_killed_beside_a_worker_that_holds_the_lock_leaves_nothing
the supervisor is killed beside frozen browsers
    chaos/test_deaths.py::test_a_supervisor_killed_beside_frozen_browsers_leaves_nothing
    shell/test_guardian.py::test_a_frozen_browser_does_not_outlive_the_supervisor
a kill at every boundary between ledger, dispatch and result
    shell/test_crash_points.py::test_a_crash_at_every_call_leaves_a_consistent_state
    shell/test_crash_points.py::test_a_crash_in_the_midst_of_recovery_is_recovered_from
everything dies at once, and the profiles and the lock are stale
    chaos/test_supervisor_deaths.py::test_after_a_power_cut_what_was_left_is_swept
    chaos/test_machine_troubles.py::test_a_stale_lock_stops_nobody
    shell/test_sweep.py::test_a_double_kill_is_swept
Ctrl-C to the terminal's group
    chaos/test_operators.py::test_ctrl_c_in_a_terminal_ends_the_night_in_good_order
SIGTERM in the middle of a download
    chaos/test_site_troubles.py::test_a_stop_in_the_middle_of_a_download_leaves_nothing_half
a signal during the start, a second one while it drains
    chaos/test_operators.py::test_a_signal_during_the_start_ends_it_without_a_trace
    chaos/test_operators.py::test_a_second_signal_while_it_drains_ends_at_once
    end_to_end/test_refusals.py::test_the_second_interrupt_ends_at_once_and_counts_nothing
a second supervisor in the same run directory
    end_to_end/test_refusals.py::test_two_supervisors_never_share_a_run_directory
nobody reads what it says
    chaos/test_operators.py::test_a_terminal_that_nobody_reads_stops_no_work
the disk is full
    chaos/test_machine_troubles.py::test_a_full_disk_pauses_the_night_until_there_is_room
few descriptors
    chaos/test_machine_troubles.py::test_a_low_limit_on_descriptors_ends_with_a_sentence
a pid is given out again
    chaos/test_machine_troubles.py::test_a_stranger_with_the_pid_of_a_dead_worker_is_left_alone
    shell/test_trees.py::test_pids_used_again_are_strangers
no server, for a moment or for long
    chaos/test_site_troubles.py::test_an_outage_charges_no_attempt[errors]
    chaos/test_site_troubles.py::test_an_outage_charges_no_attempt[closed]
    chaos/test_outside.py::test_a_site_that_crashes_and_comes_back_costs_nobody_an_attempt
    chaos/test_outside.py::test_the_last_reference_pays_nothing_for_an_outage
a page that speaks of maintenance in place of every document
    chaos/test_site_troubles.py::test_a_page_in_place_of_every_document_charges_nobody
    worker/test_instead.py::test_a_worker_tells_what_came_instead_and_whether_what_was_served_is_served_again
many references are left that fail for good, as in an outage
    chaos/test_site_troubles.py::test_bad_references_that_are_left_fail_when_what_was_served_before_is_served
no names, for a while
    chaos/test_outside.py::test_without_names_nobody_pays
the wall clock jumps by an hour each way, and by a day
    chaos/test_operators.py::test_a_wall_clock_that_jumps_is_no_time_out
the whole tree stands still
    chaos/test_deaths.py::test_a_whole_tree_that_stood_still_blames_nobody
workers are replaced again and again, a thousand times without a browser
    chaos/test_long_nights.py::test_workers_replaced_again_and_again_leave_nothing_behind
    shell/test_processes.py::test_many_incarnations_leave_nothing
much work
    chaos/test_long_nights.py::test_hundreds_of_references_take_no_more_room_than_a_few
everything at once
    chaos/test_rehearsal.py::test_a_short_rehearsal_is_clean
"""
