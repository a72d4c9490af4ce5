"""What a pipeline deploys: the zip of the functions, one template for everything, and a script."""
