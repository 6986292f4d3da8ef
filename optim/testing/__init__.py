"""Conformance suites, for our own policies and for those of outside packages.

Subclass the suite of a kind in a test module, give it the fixture that it asks for, and pytest runs every contract:

    class TestMyStopper(StopperConformance):
        @pytest.fixture
        def stopper(self):
            return MyStopper(patience=3)

`simulation` drives any session with simulated workers and a simulated clock.
"""
