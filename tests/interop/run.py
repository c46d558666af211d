"""Runs the tests of this folder; arguments name some of them: test_sdk, test_sdk.Grpc, …"""

import sys
import unittest


def main():
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(sys.argv[1:]) if sys.argv[1:] else loader.discover(".", "test_*.py")
    result = unittest.TextTestRunner(stream=sys.stdout, descriptions=False, verbosity=2).run(suite)
    for test, reason in result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    num_failed = len(result.failures) + len(result.errors)
    num_skipped = len(result.skipped)
    print(f"{result.testsRun - num_failed - num_skipped} passed, {num_failed} failed, {num_skipped} skipped")
    return 0 if result.wasSuccessful() and result.testsRun else 1


sys.exit(main())
