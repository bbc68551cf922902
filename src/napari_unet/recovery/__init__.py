"""What survives a crash: painted labels and trainings, on disk until they are saved."""
