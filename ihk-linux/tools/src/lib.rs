// SPDX-License-Identifier: GPL-2.0
//! The node's tools.
#![deny(unsafe_code)]
