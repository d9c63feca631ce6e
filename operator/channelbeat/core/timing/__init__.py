"""When an event is due: one file a kind, and `timetable`, which is what the rest of the program asks."""
