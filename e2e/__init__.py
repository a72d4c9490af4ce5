"""Tests of what ships: the zip that Lambda gets, and the service deployed from it.

    test_package         what is in the zip, for each architecture
    test_deployed        the service on an emulator that runs functions from the zip, by their roles
    test_chalice_deploy  `chalice deploy`, and again on top of it

They need a package registry, and Linux because the zip's content runs only there. `make e2e` runs
them."""
