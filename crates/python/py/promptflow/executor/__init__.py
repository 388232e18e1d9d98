"""Of promptflow's executor only the caller of assistants' tools is here: sluicegate runs flows itself."""
