// SPDX-License-Identifier: GPL-2.0
//! Measuring: each figure natively and on the co-kernel within one boot, as ratios with their spread over boots.

pub mod instructions;
pub mod plot;
pub mod report;
pub mod rows;
pub mod run;
