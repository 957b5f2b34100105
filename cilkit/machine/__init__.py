"""Where the program runs: processes, devices, seeds, signals. With one process it shows nowhere."""
