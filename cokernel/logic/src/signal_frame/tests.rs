// SPDX-License-Identifier: GPL-2.0
//! Signal frames against Linux's own structures, written down once more.

use core::mem::offset_of;

use proptest::prelude::*;

use super::*;

/// `struct rt_sigframe` of Linux x86-64, with the structures in it.
#[repr(C)]
struct RtSigframe {
    pretcode: u64,
    uc_flags: u64,
    uc_link: u64,
    ss_sp: u64,
    ss_flags: i32,
    ss_size: u64,
    /// r8 … r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags.
    registers: [u64; 18],
    cs: u16,
    gs: u16,
    fs: u16,
    ss: u16,
    err: u64,
    trapno: u64,
    oldmask: u64,
    cr2: u64,
    fpstate: u64,
    reserved: [u64; 8],
    uc_sigmask: u64,
    si_signo: i32,
    si_errno: i32,
    si_code: i32,
    si_fields: [u64; 14],
}

const INFO: Info = Info {
    signal: 10,
    errno: -3,
    code: -6,
    first: 0x1111_2222_3333_4444,
    second: 0x5555_6666_7777_8888,
};

const STACK_OF_THREAD: SignalStack = SignalStack {
    start: 0x70_0000,
    size: 0x1_0000,
    flags: 0,
};

const ON_STACK: Action = action(flag::ONSTACK);
const PLAIN: Action = action(0);

const fn action(flags: u64) -> Action {
    Action {
        handler: 0x40_1000,
        flags,
        restorer: 0x40_2000,
        mask: SignalSet::EMPTY,
    }
}

fn interrupted() -> Interrupted {
    Interrupted {
        registers: core::array::from_fn(|index| 0x100 + index as u64),
        selectors: [0x33, 0x2b],
        mask: SignalSet(0xaaaa_bbbb_cccc_dddd),
        stack: STACK_OF_THREAD,
        trap: Trap {
            number: 14,
            error: 6,
            address: 0xdead_0000,
        },
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn quarter(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn returned(frame: &[u8; FRAME_BYTES]) -> Returned {
    let (read, _) = frame.split_first_chunk().expect("long enough");
    decode(read)
}

#[test]
fn the_frame_is_as_long_as_linuxs() {
    assert_eq!(size_of::<RtSigframe>(), FRAME_BYTES);
    assert_eq!(offset_of!(RtSigframe, si_signo), RETURN_BYTES);
}

#[test]
fn every_register_is_where_linux_has_it() {
    let bytes = encode(&interrupted(), &INFO, 0x40_2000, 0x7fff_0000);
    let at = offset_of!(RtSigframe, registers);
    for index in 0..18 {
        assert_eq!(word(&bytes, at + index * 8), 0x100 + index as u64);
    }
    assert_eq!(quarter(&bytes, offset_of!(RtSigframe, cs)), 0x33);
    assert_eq!(quarter(&bytes, offset_of!(RtSigframe, ss)), 0x2b);
    assert_eq!(quarter(&bytes, offset_of!(RtSigframe, gs)), 0);
    assert_eq!(quarter(&bytes, offset_of!(RtSigframe, fs)), 0);
}

#[test]
fn the_handler_returns_to_the_restorer() {
    let bytes = encode(&interrupted(), &INFO, 0x40_2000, 0);
    assert_eq!(word(&bytes, offset_of!(RtSigframe, pretcode)), 0x40_2000);
    assert_eq!(word(&bytes, offset_of!(RtSigframe, uc_flags)), 7);
    assert_eq!(word(&bytes, offset_of!(RtSigframe, uc_link)), 0);
}

#[test]
fn the_exception_and_both_masks_are_there() {
    let bytes = encode(&interrupted(), &INFO, 0, 0x7fff_0040);
    let at = |offset| word(&bytes, offset);
    assert_eq!(at(offset_of!(RtSigframe, err)), 6);
    assert_eq!(at(offset_of!(RtSigframe, trapno)), 14);
    assert_eq!(at(offset_of!(RtSigframe, cr2)), 0xdead_0000);
    assert_eq!(at(offset_of!(RtSigframe, oldmask)), 0xaaaa_bbbb_cccc_dddd);
    assert_eq!(
        at(offset_of!(RtSigframe, uc_sigmask)),
        0xaaaa_bbbb_cccc_dddd
    );
    assert_eq!(at(offset_of!(RtSigframe, fpstate)), 0x7fff_0040);
}

#[test]
fn the_signal_stack_is_there_with_its_flags() {
    let mut interrupted = interrupted();
    let stack = |interrupted: &Interrupted| {
        let bytes = encode(interrupted, &INFO, 0, 0);
        (
            word(&bytes, offset_of!(RtSigframe, ss_sp)),
            half(&bytes, offset_of!(RtSigframe, ss_flags)),
            word(&bytes, offset_of!(RtSigframe, ss_size)),
        )
    };
    assert_eq!(stack(&interrupted), (0x70_0000, 0, 0x1_0000));
    interrupted.registers[15] = 0x70_8000;
    assert_eq!(
        stack(&interrupted),
        (0x70_0000, 0, 0x1_0000),
        "not where it is"
    );
    interrupted.stack.flags = 1;
    assert_eq!(stack(&interrupted), (0x70_0000, 1, 0x1_0000));
    interrupted.stack = SignalStack::DISABLED;
    assert_eq!(stack(&interrupted), (0, 2, 0));
}

#[test]
fn the_siginfo_says_what_was_sent() {
    let bytes = encode(&interrupted(), &INFO, 0, 0);
    let fields = offset_of!(RtSigframe, si_fields);
    assert_eq!(half(&bytes, offset_of!(RtSigframe, si_signo)), 10);
    assert_eq!(half(&bytes, offset_of!(RtSigframe, si_errno)), u32::MAX - 2);
    assert_eq!(half(&bytes, offset_of!(RtSigframe, si_code)), u32::MAX - 5);
    assert_eq!(word(&bytes, fields), INFO.first);
    assert_eq!(word(&bytes, fields + 8), INFO.second);
    assert!(bytes[fields + 16..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_fault_of_a_protection_key_names_the_key_behind_the_bounds() {
    let info = Info {
        signal: SIGSEGV,
        code: SEGV_PKUERR,
        second: 5,
        ..INFO
    };
    let bytes = encode(&interrupted(), &info, 0, 0);
    let fields = offset_of!(RtSigframe, si_fields);
    assert_eq!(word(&bytes, fields), INFO.first);
    assert_eq!(word(&bytes, fields + 8), 0);
    assert_eq!(word(&bytes, fields + 16), 5);
}

#[test]
fn the_red_zone_is_left_alone() {
    let place = Place::find(0x7000_0000, &PLAIN, &SignalStack::default(), 0).expect("room");
    assert_eq!(place.fpstate, 0x7000_0000 - 128);
    let place = Place::find(0x7000_0000, &PLAIN, &SignalStack::default(), 1).expect("room");
    assert_eq!(place.fpstate, 0x7000_0000 - 192);
}

#[test]
fn a_signal_stack_has_no_red_zone_when_the_handler_comes_onto_it() {
    let top = STACK_OF_THREAD.start + STACK_OF_THREAD.size;
    let place = Place::find(0x7000_0000, &ON_STACK, &STACK_OF_THREAD, 512).expect("room");
    assert_eq!(place.fpstate, top - 512);
}

#[test]
fn who_is_on_the_signal_stack_goes_on_there() {
    let sp = STACK_OF_THREAD.start + 0x8000;
    for action in [PLAIN, ON_STACK] {
        let place = Place::find(sp, &action, &STACK_OF_THREAD, 0).expect("room");
        assert_eq!(place.fpstate, sp - 128);
    }
}

#[test]
fn without_a_signal_stack_or_its_wish_the_frame_goes_below_the_pointer() {
    let none = SignalStack::default();
    for (action, stack) in [(PLAIN, STACK_OF_THREAD), (ON_STACK, none)] {
        let place = Place::find(0x7000_0000, &action, &stack, 0).expect("room");
        assert_eq!(place.fpstate, 0x7000_0000 - 128);
    }
}

#[test]
fn a_frame_that_overflows_the_signal_stack_is_refused() {
    let start = STACK_OF_THREAD.start;
    let find = |sp, fpu_bytes| Place::find(sp, &ON_STACK, &STACK_OF_THREAD, fpu_bytes);
    assert_eq!(find(start + 0x200, 0), None);
    assert!(find(start + 0x400, 0).is_some());
    assert_eq!(find(start + 0x400, 0x400), None);
}

#[test]
fn a_stack_pointer_near_zero_is_refused_and_wraps_nowhere() {
    let none = SignalStack::default();
    for sp in [0, 1, 127, 128, 128 + 440, 128 + 447] {
        assert_eq!(Place::find(sp, &PLAIN, &none, 0), None, "{sp}");
    }
    assert_eq!(Place::find(4096, &PLAIN, &none, u64::MAX), None);
}

#[test]
fn a_sealed_state_has_both_magic_numbers_and_its_sizes() {
    let mut state = [0xee; 832 + MAGIC2_BYTES];
    seal_fpu(&mut state, 0x2e7);
    assert_eq!(half(&state, 464), 0x4650_5853);
    assert_eq!(half(&state, 468), 836);
    assert_eq!(word(&state, 472), 0x2e7);
    assert_eq!(half(&state, 480), 832);
    assert_eq!(half(&state, 832), 0x4650_5845);
    assert!(state[..464].iter().all(|byte| *byte == 0xee));
    assert!(state[484..832].iter().all(|byte| *byte == 0xee));
}

#[test]
fn an_unsealed_state_has_nothing_in_the_part_of_software() {
    let mut state = [0xee; 832];
    unseal_fpu(&mut state);
    assert!(state[464..512].iter().all(|byte| *byte == 0));
    assert!(state[..464]
        .iter()
        .chain(&state[512..])
        .all(|byte| *byte == 0xee));
}

fn some_stack() -> impl Strategy<Value = SignalStack> {
    let size = prop_oneof![Just(0), 2048..0x10_0000u64];
    let flags = prop_oneof![Just(0), Just(1 << 31)];
    (any::<u32>(), size, flags).prop_map(|(start, size, flags)| SignalStack {
        start: u64::from(start),
        size,
        flags,
    })
}

proptest! {
    #[test]
    fn what_sigreturn_reads_is_what_was_interrupted(
        registers in any::<[u64; 18]>(),
        selectors in any::<[u64; 2]>(),
        mask in any::<u64>(),
        stack in some_stack(),
        trap in any::<[u64; 3]>(),
        fpstate in any::<u64>(),
    ) {
        let [number, error, address] = trap;
        let interrupted = Interrupted {
            registers,
            selectors,
            mask: SignalSet(mask),
            stack,
            trap: Trap { number, error, address },
        };
        let stack = stack.as_given();
        let expected = Returned { registers, fpstate, mask: SignalSet(mask), stack };
        prop_assert_eq!(returned(&encode(&interrupted, &INFO, 1, fpstate)), expected);
    }

    #[test]
    fn a_place_is_aligned_and_its_parts_do_not_overlap(
        sp in any::<u64>(),
        flags in prop_oneof![Just(0), Just(flag::ONSTACK)],
        stack in some_stack(),
        fpu_bytes in 512..12_000u64,
    ) {
        let Some(place) = Place::find(sp, &action(flags), &stack, fpu_bytes) else {
            return Ok(());
        };
        prop_assert_eq!(place.address % 16, 8, "as after a call");
        prop_assert_eq!(place.fpstate % 64, 0);
        prop_assert!(place.address + FRAME_BYTES as u64 <= place.fpstate);
        prop_assert_eq!(place.siginfo(), place.address + 312);
        prop_assert_eq!(place.ucontext(), place.address + 8);
        let end = place.fpstate + fpu_bytes;
        let is_on_stack = flags != 0 && stack.size != 0 && !stack.contains(sp);
        let top = if is_on_stack { stack.start + stack.size } else { sp - 128 };
        prop_assert!(end <= top);
        prop_assert!(top - place.address <= fpu_bytes + FRAME_BYTES as u64 + 64 + 16 + 8);
        if stack.contains(sp) {
            prop_assert!(place.address >= stack.start);
        }
    }
}
