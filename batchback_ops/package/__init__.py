"""What a pipeline deploys: the zip of the functions, one template of all, a script."""
