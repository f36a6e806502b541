package dev.partita.enlightenment;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/// Hypercalls (TLFS, "Hypercall Interface"): how a guest makes them and what they answer.
///
/// The page's code writes to an I/O port, for that is intercepted by every engine; VMCALL is not.
/// Input and result are in registers. A fast HvCallSignalEvent of 64-bit code has a port of its
/// own, and its connection id is the value written: an engine that can take such a write without
/// leaving the guest may do so. It answers success whatever comes of it.
///
/// Hypercalls that flush TLBs and send interrupts to other processors are not offered. A Linux
/// guest with two processors has some thousand interprocessor interrupts until its first process,
/// and four TLB shootdowns; an interrupt by the x2APIC's command register costs one exit, as a
/// hypercall would.
///
/// Code of other widths passes other registers, but the page is the same for all: its first word
/// of input in ECX could look like the control value of a fast signal. No connection has that id,
/// and a parameter block at that address is not aligned, so that nothing valid is taken for
/// another.
final class Hypercalls {
  /// The port that the page's code writes to.
  static final int PORT = 0xE0;

  /// The port for a fast HvCallSignalEvent.
  static final int FAST_SIGNAL_PORT = 0xE1;

  /// Bytes written to either.
  static final int PORT_SIZE = 4;

  // HV_STATUS.
  static final int HV_STATUS_SUCCESS = 0;
  static final int HV_STATUS_INVALID_HYPERCALL_CODE = 2;
  static final int HV_STATUS_INVALID_HYPERCALL_INPUT = 3;
  static final int HV_STATUS_INVALID_ALIGNMENT = 4;
  static final int HV_STATUS_INVALID_PARAMETER = 5;
  static final int HV_STATUS_ACCESS_DENIED = 6;
  static final int HV_STATUS_INVALID_CONNECTION_ID = 0x12;
  static final int HV_STATUS_INSUFFICIENT_BUFFERS = 0x13;

  // HV_CALL_CODE.
  private static final int POST_MESSAGE = 0x5C;
  private static final int SIGNAL_EVENT = 0x5D;

  // The control value.
  private static final long CODE_MASK = 0xFFFF;
  private static final long FAST = 1 << 16;

  /// All other bits: variable header, repetitions, reserved. Zero for the calls here.
  private static final long UNUSED = ~(CODE_MASK | FAST);

  // HV_INPUT_POST_MESSAGE: connection id, reserved, type, size, payload.
  private static final int MESSAGE_SIZE = 16 + Synic.LARGEST_PAYLOAD;
  private static final int SIGNAL_SIZE = 8;

  private final GuestMemory memory;
  private final Synic synic;
  private final int communication;
  private final LongAdder messages = new LongAdder();
  private final LongAdder signals = new LongAdder();
  private final LongAdder refused = new LongAdder();

  /// @param communication the privileges in EBX of leaf 0x40000003
  Hypercalls(GuestMemory memory, Synic synic, int communication) {
    this.memory = memory;
    this.synic = synic;
    this.communication = communication;
  }

  /// The page's contents. ENDBR64 first, so that it may be called indirectly under control-flow
  /// enforcement. The rest is INT3.
  static byte[] page() {
    int[] code = {
      0xF3,
      0x0F,
      0x1E,
      0xFA, // endbr64
      0x81,
      0xF9,
      SIGNAL_EVENT,
      0x00,
      0x01,
      0x00, // cmp ecx, FAST | SIGNAL_EVENT
      0x75,
      0x07, // jne other
      0x89,
      0xD0, // mov eax, edx
      0xE7,
      FAST_SIGNAL_PORT, // out FAST_SIGNAL_PORT, eax
      0x31,
      0xC0, // xor eax, eax
      0xC3, // ret
      0xE7,
      PORT, // other: out PORT, eax
      0xC3 // ret
    };
    var bytes = new byte[code.length];
    for (int i = 0; i < code.length; i++) {
      bytes[i] = (byte) code[i];
    }
    return OverlayPages.page(bytes, (byte) 0xCC);
  }

  /// Whether the intercepted code may make hypercalls: protected mode at level 0. The
  /// specification gives others an invalid-opcode fault, which a port write cannot raise; for
  /// them there is nothing at the port.
  static boolean allowed(VirtualProcessor processor) {
    return processor.privilegeLevel() == 0
        && switch (processor.mode()) {
          case REAL, VIRTUAL_8086 -> false;
          case PROTECTED, COMPATIBILITY, LONG -> true;
        };
  }

  /// Answers a hypercall.
  void call(VirtualProcessor processor) {
    boolean wide = processor.mode() == VirtualProcessor.Mode.LONG;
    long control;
    long input;
    if (wide) {
      control = processor.general(ProcessorState.RCX);
      input = processor.general(ProcessorState.RDX);
    } else {
      control = pair(processor, ProcessorState.RDX, ProcessorState.RAX);
      input = pair(processor, ProcessorState.RBX, ProcessorState.RCX);
    }
    var event = FlightRecording.isOn() ? HypercallEvent.started() : null;
    int status = answer(control, input);
    if (event != null) {
      event.answered(processor.index(), (int) (control & CODE_MASK), status);
    }
    count(control, status);
    processor.setGeneral(ProcessorState.RAX, status);
    if (!wide) {
      processor.setGeneral(ProcessorState.RDX, 0);
    }
  }

  /// Takes a fast HvCallSignalEvent; the page's code sets the result.
  void signalFast(VirtualProcessor processor) {
    if (processor.mode() == VirtualProcessor.Mode.LONG) {
      var event = FlightRecording.isOn() ? HypercallEvent.started() : null;
      int status = signal(processor.general(ProcessorState.RDX));
      if (event != null) {
        event.answered(processor.index(), SIGNAL_EVENT, status);
      }
      count(SIGNAL_EVENT, status);
    }
  }

  private void count(long control, int status) {
    if (status != HV_STATUS_SUCCESS) {
      refused.increment();
    } else if ((control & CODE_MASK) == POST_MESSAGE) {
      messages.increment();
    } else {
      signals.increment();
    }
  }

  void addTo(Map<String, Long> counters) {
    counters.put("hypercalls.post-message", messages.sum());
    counters.put("hypercalls.signal-event", signals.sum());
    counters.put("hypercalls.refused", refused.sum());
  }

  private static long pair(VirtualProcessor processor, int high, int low) {
    return processor.general(high) << 32 | processor.general(low) & 0xFFFF_FFFFL;
  }

  private int answer(long control, long input) {
    int code = (int) (control & CODE_MASK);
    if (code != POST_MESSAGE && code != SIGNAL_EVENT) {
      return HV_STATUS_INVALID_HYPERCALL_CODE;
    }
    if ((control & UNUSED) != 0) {
      return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    boolean fast = (control & FAST) != 0;
    if (code == POST_MESSAGE) {
      // Two registers cannot hold a message.
      return fast ? HV_STATUS_INVALID_HYPERCALL_INPUT : postMessage(input);
    }
    if (fast) {
      return signal(input);
    }
    int status = checkBlock(input, SIGNAL_SIZE);
    return status != HV_STATUS_SUCCESS ? status : signal(memory.readLong(input));
  }

  /// A parameter block is aligned to 8 bytes, in one page, and in RAM; all else is an alignment
  /// that is invalid (TLFS, "Common Hypercall Status Codes").
  private int checkBlock(long address, int size) {
    long offset = address & GuestMemory.PAGE_SIZE - 1;
    return address % Long.BYTES != 0
            || offset + size > GuestMemory.PAGE_SIZE
            || !memory.contains(address, size)
        ? HV_STATUS_INVALID_ALIGNMENT
        : HV_STATUS_SUCCESS;
  }

  private int postMessage(long address) {
    if ((communication & HypervisorLeaves.POST_MESSAGES) == 0) {
      return HV_STATUS_ACCESS_DENIED;
    }
    int status = checkBlock(address, MESSAGE_SIZE);
    if (status != HV_STATUS_SUCCESS) {
      return status;
    }
    // Copied once: the guest may change it meanwhile.
    var block = ByteBuffer.wrap(memory.read(address, MESSAGE_SIZE)).order(ByteOrder.LITTLE_ENDIAN);
    int connection = block.getInt();
    block.getInt();
    int type = block.getInt();
    int size = block.getInt();
    // Negative types are the hypervisor's own.
    if (type <= 0 || size < 0 || size > Synic.LARGEST_PAYLOAD) {
      return HV_STATUS_INVALID_PARAMETER;
    }
    var port = synic.messagePort(connection);
    if (port == null) {
      return HV_STATUS_INVALID_CONNECTION_ID;
    }
    var payload = new byte[size];
    block.get(payload);
    return switch (port.post(type, payload)) {
      case ACCEPTED -> HV_STATUS_SUCCESS;
      case INSUFFICIENT_BUFFERS -> HV_STATUS_INSUFFICIENT_BUFFERS;
    };
  }

  /// @param parameters connection id (32 bits), flag number (16), reserved (16)
  private int signal(long parameters) {
    if (parameters >>> 48 != 0) {
      return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    if ((communication & HypervisorLeaves.SIGNAL_EVENTS) == 0) {
      return HV_STATUS_ACCESS_DENIED;
    }
    var port = synic.eventPort((int) parameters);
    if (port == null) {
      return HV_STATUS_INVALID_CONNECTION_ID;
    }
    port.signal((int) (parameters >>> 32) & 0xFFFF);
    return HV_STATUS_SUCCESS;
  }
}
