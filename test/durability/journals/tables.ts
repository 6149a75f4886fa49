// What a journal consists of.
export const tables = ["baton_runs", "baton_events", "baton_requests", "baton_answers", "baton_timers", "baton_seeds"]
