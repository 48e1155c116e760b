"""What the commands say of themselves, read out of them: manual pages (`roff`), the page of exit statuses (`exits`)."""
