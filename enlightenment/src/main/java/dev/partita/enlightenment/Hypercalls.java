package dev.partita.enlightenment;

import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor;

/// Hypercalls (TLFS, "Hypercall Interface"): how a guest makes them and what they answer.
///
/// The page's code writes to an I/O port, for that is intercepted by every engine; VMCALL is not.
/// The value written is of no interest: input and result are in registers.
final class Hypercalls {
  /// The port that the page's code writes to.
  static final int PORT = 0xE0;

  /// Bytes written to it.
  static final int PORT_SIZE = 4;

  static final int HV_STATUS_INVALID_HYPERCALL_CODE = 2;

  private Hypercalls() {}

  /// The page's contents: ENDBR64, so that it may be called indirectly under control-flow
  /// enforcement; OUT to the port; RET. Code of both widths is the same. The rest is INT3.
  static byte[] page() {
    byte[] code = {
      (byte) 0xF3,
      0x0F,
      0x1E,
      (byte) 0xFA, // endbr64
      (byte) 0xE7,
      (byte) PORT, // out PORT, eax
      (byte) 0xC3 // ret
    };
    return OverlayPages.page(code, (byte) 0xCC);
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

  /// Answers a hypercall. None is offered yet: those a child partition may use need the synthetic
  /// interrupt controller, or are recommended by bits of leaf 0x40000004 that are not set. So the
  /// answer is the same whatever the registers hold.
  static void call(VirtualProcessor processor) {
    long result = HV_STATUS_INVALID_HYPERCALL_CODE;
    if (processor.mode() == VirtualProcessor.Mode.LONG) {
      processor.setGeneral(ProcessorState.RAX, result);
    } else {
      processor.setGeneral(ProcessorState.RAX, result & 0xFFFF_FFFFL);
      processor.setGeneral(ProcessorState.RDX, result >>> 32);
    }
  }
}
