package dev.partita.worker;

import dev.partita.hypervisor.ProcessorState;
import java.util.ArrayList;
import java.util.List;

/// A crashed processor's registers and code, as an operator reads them.
final class CrashReport {
  private static final String[] GENERAL = {
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"
  };

  private CrashReport() {}

  /// The report's lines.
  ///
  /// @param code bytes at RIP, as many as could be read
  static List<String> lines(int processor, ProcessorState state, byte[] code) {
    var lines = new ArrayList<String>();
    lines.add(
        "virtual processor %d  RIP %016x  RFLAGS %08x  CPL %d"
            .formatted(processor, state.rip(), state.rflags(), state.ss().attributes() >> 5 & 3));
    for (int i = 0; i < GENERAL.length; i += 4) {
      var line = new StringBuilder();
      for (int j = i; j < i + 4; j++) {
        line.append("%-3s %016x  ".formatted(GENERAL[j], state.general()[j]));
      }
      lines.add(line.toString().stripTrailing());
    }
    lines.add(
        "CR0 %08x  CR2 %016x  CR3 %016x  CR4 %08x  EFER %04x"
            .formatted(state.cr0(), state.cr2(), state.cr3(), state.cr4(), state.efer()));
    lines.add(
        segment("CS", state.cs())
            + "  "
            + segment("SS", state.ss())
            + "  "
            + segment("DS", state.ds()));
    lines.add(
        segment("ES", state.es())
            + "  "
            + segment("FS", state.fs())
            + "  "
            + segment("GS", state.gs()));
    lines.add(
        "GDT %016x/%04x  IDT %016x/%04x  TR %04x"
            .formatted(
                state.gdtr().base(),
                state.gdtr().limit(),
                state.idtr().base(),
                state.idtr().limit(),
                state.tr().selector()));
    if (code.length == 0) {
      lines.add("code at RIP: not readable");
    } else {
      var line = new StringBuilder("code at RIP:");
      for (byte b : code) {
        line.append(" %02x".formatted(b));
      }
      lines.add(line.toString());
    }
    return lines;
  }

  private static String segment(String name, ProcessorState.Segment segment) {
    return "%s %04x:%016x/%08x/%05x"
        .formatted(name, segment.selector(), segment.base(), segment.limit(), segment.attributes());
  }
}
