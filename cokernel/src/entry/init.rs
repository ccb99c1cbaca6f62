// SPDX-License-Identifier: GPL-2.0
//! Boot order, one step per line.

use core::sync::atomic::{AtomicBool, Ordering};

use bootloader_api::info::MemoryRegionKind;
use bootloader_api::BootInfo;
use cokernel_logic::frames::Frames;
use ihk_ikc::boot::BootParams;
use ihk_ikc::control::state;
use ihk_ikc::layout::LARGE_PAGE_BYTES;
use ihk_ikc::packet::ToLinux;
use ihk_ikc::ABI_VERSION;
use x86_64::PhysAddr;

use crate::arch::time::{self, Deadline};
use crate::arch::{self, attention, setup};
use crate::aspace::shootdown;
use crate::entry::{boot, host_orders};
use crate::frames::{self, heap, table};
use crate::params::Params;
use crate::process::view;
use crate::task::{idle, sched, timer};
use crate::{failure, ikc, kargs, klog, log, panic, partition};

/// The longest time that the CPUs may take to come up.
const ONLINE_LIMIT_US: u64 = 8_000_000;
/// Boot heap beyond the table of frames.
const BOOT_HEAP_BYTES: u64 = 256 << 10;

/// The boot CPU has prepared what all CPUs share.
static PREPARED: AtomicBool = AtomicBool::new(false);

/// The handlers of what Linux sends.
const HANDLERS: ikc::Handlers = ikc::Handlers {
    packet: host_orders::handle,
    shutdown: || panic::stop_all(state::STOPPED),
    look_again: timer::look_after,
};

/// Does, on a CPU that spins, the work that others wait for.
fn attend(wanted: u32) {
    if wanted & attention::SHOOTDOWN != 0 {
        shootdown::serve();
    }
    if wanted & attention::STOP != 0 {
        panic::stop_if_asked();
    }
}

/// The first CPU: prepares the instance, waits for the others, says RUNNING, becomes idle.
///
/// # Safety
///
/// It comes here once, on its boot stack; the others wait for it.
pub unsafe fn boot_cpu(params: Params) -> ! {
    time::init(params);
    partition::init_ranges(params);
    arch::set_attention_handler(attend);
    ikc::init(params, HANDLERS);
    log::init(params);
    let control = ikc::control();
    control.abi_version.store(ABI_VERSION, Ordering::Release);
    check(params);
    ikc::set_state(state::BOOTING);
    klog!(
        "mckernel-rs {} instance {}: {} CPUs",
        env!("CARGO_PKG_VERSION"),
        params.instance,
        params.cpu_count
    );
    setup::enable_features(params);
    // SAFETY: once, by contract.
    let info = unsafe { boot::boot_info(params) };
    init_memory(params, info);
    boot::build_kernel_tables(params);
    setup::load_kernel_tables();
    boot::map_local_apic();
    // SAFETY: once, by contract, and no CPU has a table of interrupts yet.
    unsafe { setup::prepare_all(params) };
    setup::set_up_cpu();
    setup::set_up_timer();
    timer::init(params.cpu_count);
    sched::init(params.cpu_count);
    view::init(params);
    PREPARED.store(true, Ordering::Release);
    go_online();
    wait_for_all(params.cpu_count);
    failure::at_boot();
    control.state.store(state::RUNNING, Ordering::Release);
    klog!("running; {} MiB free", table::stats().free >> 8);
    ikc::send(&ToLinux::StateChanged {
        state: state::RUNNING,
    });
    if let Some(ns) = failure::arm() {
        timer::set_slice(ns);
    }
    sched::enter(idle::idle_loop)
}

/// The other CPUs.
pub fn other_cpu(params: Params) -> ! {
    let limit = time::tsc().saturating_add(params.tsc_khz.saturating_mul(ONLINE_LIMIT_US / 1000));
    while !PREPARED.load(Ordering::Acquire) {
        core::hint::spin_loop();
        if time::tsc() > limit {
            arch::halt_forever();
        }
    }
    setup::enable_features(params);
    setup::load_kernel_tables();
    setup::set_up_cpu();
    setup::set_up_timer();
    go_online();
    sched::enter(idle::idle_loop)
}

/// Refuses what cannot be booted: says why and halts; the other CPUs halt by their own limit.
fn check(params: Params) {
    if params.abi_version != ABI_VERSION || params.bytes as usize != size_of::<BootParams>() {
        refuse(format_args!(
            "ihk.ko speaks version {} of the contract, this image {ABI_VERSION}",
            params.abi_version
        ));
    }
    if let Some(reason) = boot::reason_to_refuse(params) {
        refuse(format_args!("{reason}"));
    }
    if let Err(error) = kargs::init(params) {
        refuse(format_args!("{error}"));
    }
}

fn refuse(reason: core::fmt::Arguments<'_>) -> ! {
    klog!("boot refused: {reason}");
    ikc::set_state(state::REFUSED);
    arch::halt_forever()
}

/// Boot heap, then frames, from the memory map.
fn init_memory(params: Params, info: &'static mut BootInfo) {
    let table = Frames::footprint(partition::block_count()) as u64;
    let bytes = (table + BOOT_HEAP_BYTES).next_multiple_of(4096);
    let usable = |region: &&mut bootloader_api::info::MemoryRegion| {
        region.kind == MemoryRegionKind::Usable && region.end - region.start >= bytes
    };
    // The smallest region that fits, so that large ones stay whole.
    let region = info
        .memory_regions
        .iter_mut()
        .filter(usable)
        .min_by_key(|region| region.end - region.start);
    let region = region.expect("no memory for the boot heap");
    let start = region.start;
    region.start += bytes;
    // SAFETY: that part of a usable region has just been cut off.
    unsafe { heap::init_boot(PhysAddr::new(start), bytes) };
    // SAFETY: nobody has the usable regions.
    unsafe { frames::init_frames(info) };
    let large = params.memory[..params.memory_count as usize]
        .iter()
        .map(|range| range.region.bytes / LARGE_PAGE_BYTES);
    klog!(
        "memory: {} ranges, {} large pages, {} times 1 GiB in one piece",
        params.memory_count,
        large.sum::<u64>(),
        table::giant_count()
    );
}

fn go_online() {
    let server = &ikc::control().servers[arch::cpu_index() as usize];
    arch::this_cpu().set_server(server.load(Ordering::Relaxed));
    ikc::beat();
    ikc::own_ring().request_doorbell();
    ikc::control().cpus_online.fetch_add(1, Ordering::AcqRel);
}

fn wait_for_all(cpus: u32) {
    let deadline = Deadline::after_us(ONLINE_LIMIT_US);
    while ikc::control().cpus_online.load(Ordering::Acquire) < cpus {
        arch::relax();
        let online = ikc::control().cpus_online.load(Ordering::Relaxed);
        assert!(!deadline.passed(), "only {online} of {cpus} CPUs came up");
    }
}
