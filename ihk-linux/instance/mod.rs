// SPDX-License-Identifier: GPL-2.0
//! One co-kernel instance: what it owns and how it stands. The other files here act on it.

mod clock;
mod examination;
#[expect(unsafe_code, reason = "statics that need initialising")]
pub(crate) mod node;
pub(crate) mod packets;
mod pulse;
#[expect(unsafe_code, reason = "pointers under read-copy-update")]
pub(crate) mod running;
pub(crate) mod stop;
mod watchdog;

use crate::boot::image::Image;
use crate::ffi::cpu;
use crate::ffi::irq_lock::IrqLock;
use crate::ikc::kmsg::Log;
use crate::proto::uapi::{status, IkcMap, MAX_IKC_PAIRS};
use crate::resource::cpus::CpuList;
use crate::resource::memory::BlockSet;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use examination::Examination;
use kernel::prelude::*;
use kernel::sync::{new_mutex, Arc, Mutex};
use kernel::workqueue::{
    impl_has_delayed_work, impl_has_work, new_delayed_work, new_work, DelayedWork, Work,
};
use running::Running;

/// An instance; /dev/mcosN's open files hold it.
#[pin_data]
pub(crate) struct Instance {
    /// N.
    pub(crate) number: u32,
    /// One of [`status`]; written by who holds `steering`.
    status: AtomicU32,
    /// The reason why it must be stopped, if so.
    failure: IrqLock<Option<&'static CStr>>,
    /// A clock was set and the co-kernel has not heard of it.
    clock_is_news: AtomicBool,
    /// Somebody wants to know whether all CPUs live.
    is_doubted: AtomicBool,
    /// Finds that out.
    #[pin]
    examination: Mutex<Option<Examination>>,
    /// The part that is changed by one task at a time.
    #[pin]
    pub(crate) steering: Mutex<Steering>,
    #[pin]
    look: Work<Instance, 0>,
    #[pin]
    watchdog: DelayedWork<Instance, 1>,
}

impl_has_work! { impl HasWork<Self, 0> for Instance { self.look } }
impl_has_delayed_work! { impl HasDelayedWork<Self, 1> for Instance { self.watchdog } }

/// The part of an instance that steering it changes.
pub(crate) struct Steering {
    /// The device is gone; open files are dead.
    pub(crate) is_destroyed: bool,
    /// In the order of the co-kernel's numbers.
    pub(crate) cpus: CpuList,
    /// Its partition.
    pub(crate) memory: BlockSet,
    /// For the next boot.
    pub(crate) image: Option<Image>,
    /// For the next boot.
    pub(crate) kargs: KVec<u8>,
    /// For the next boot.
    pub(crate) ikc_map: KBox<IkcMap>,
    /// Set from the start of a boot to the end of a stop.
    pub(crate) running: Option<Arc<Running>>,
    /// Its log.
    pub(crate) log: Log,
}

impl Steering {
    /// The Linux CPU that is rung when none is named: that of co-kernel CPU 0, else the first.
    pub(crate) fn default_linux_cpu(&self) -> u32 {
        match self.ikc_map.linux_cpu.first() {
            Some(&plus_one) if plus_one != 0 => u32::from(plus_one) - 1,
            _ => (0..cpu::possible_count())
                .find(|&number| cpu::is_online(number))
                .unwrap_or(0),
        }
    }

    /// The CPUs have changed: who serves whom is said anew.
    pub(crate) fn forget_map(&mut self) {
        self.ikc_map.linux_cpu = [0; MAX_IKC_PAIRS];
    }

    /// EBUSY from the start of a boot to the end of a stop, ENODEV after the end of the instance.
    pub(crate) fn require_idle(&self) -> Result {
        if self.is_destroyed {
            return Err(ENODEV);
        }
        if self.running.is_some() {
            Err(EBUSY)
        } else {
            Ok(())
        }
    }

    /// EBUSY if programs run.
    pub(crate) fn require_no_programs(&self) -> Result {
        match &self.running {
            Some(running) if running.service.is_attached() && running.programs() > 0 => Err(EBUSY),
            _ => Ok(()),
        }
    }
}

impl Instance {
    /// An instance that owns nothing.
    pub(crate) fn new(number: u32) -> Result<Arc<Self>> {
        let steering = Steering {
            is_destroyed: false,
            cpus: CpuList::new(),
            memory: BlockSet::new(),
            image: None,
            kargs: KVec::new(),
            ikc_map: KBox::new(
                IkcMap {
                    linux_cpu: [0; MAX_IKC_PAIRS],
                },
                GFP_KERNEL,
            )?,
            running: None,
            log: Log::new(),
        };
        Arc::pin_init(
            pin_init!(Self {
                number,
                status: AtomicU32::new(status::INACTIVE),
                failure: IrqLock::new(None),
                clock_is_news: AtomicBool::new(false),
                is_doubted: AtomicBool::new(false),
                examination <- new_mutex!(None, "ihk:examination"),
                steering <- new_mutex!(steering, "ihk:steering"),
                look <- new_work!("ihk:look"),
                watchdog <- new_delayed_work!("ihk:watchdog"),
            }),
            GFP_KERNEL,
        )
    }

    /// One of [`status`].
    pub(crate) fn status(&self) -> u32 {
        self.status.load(Ordering::Acquire)
    }

    /// Only for the holder of `steering`.
    pub(crate) fn set_status(&self, status: u32) {
        self.status.store(status, Ordering::Release);
    }

    /// Forgets an earlier failure: a boot begins or a stop ends.
    pub(crate) fn forget_failure(&self) {
        *self.failure.lock() = None;
    }
}
