#!/usr/bin/python
# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""The name that ansible-doc and the task parser know. The documentation is in report.yml, the code in the action plugin."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type
