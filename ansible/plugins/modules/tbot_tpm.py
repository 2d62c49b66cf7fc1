#!/usr/bin/python
# Copyright: the tbot_tpm authors
# SPDX-License-Identifier: Apache-2.0
"""The name that ansible-doc and the task parser know. The documentation is in tbot_tpm.yml beside this file.

There is nothing to run here: the action plugin of the same name picks a binary and has Ansible run that as the module.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type
