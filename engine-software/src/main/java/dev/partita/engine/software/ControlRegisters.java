package dev.partita.engine.software;

import dev.partita.hypervisor.CpuidTable;
import org.jspecify.annotations.Nullable;

/// The control registers, XCR0 among them: MOV CRn, LMSW, SMSW, CLTS, XGETBV, XSETBV. Intel SDM
/// volume 3, 2.5, 2.6 and 9.8.5 (entering and leaving long mode), volume 2, "MOV—Move to/from
/// Control Registers".
final class ControlRegisters {
  private static final long CR0_DEFINED =
      Cpu.CR0_PE
          | Cpu.CR0_MP
          | Cpu.CR0_EM
          | Cpu.CR0_TS
          | Cpu.CR0_ET
          | Cpu.CR0_NE
          | Cpu.CR0_WP
          | Cpu.CR0_AM
          | Cpu.CR0_NW
          | Cpu.CR0_CD
          | Cpu.CR0_PG;

  /// CR4 bits that every processor of this engine has.
  private static final long CR4_ALWAYS =
      Cpu.CR4_VME
          | Cpu.CR4_PVI
          | Cpu.CR4_TSD
          | Cpu.CR4_DE
          | Cpu.CR4_PSE
          | Cpu.CR4_PAE
          | Cpu.CR4_MCE
          | Cpu.CR4_PGE
          | Cpu.CR4_PCE
          | Cpu.CR4_OSFXSR
          | Cpu.CR4_OSXMMEXCPT;

  /// A change of any of these forgets all translations (SDM volume 3, 4.10.4.1).
  private static final long CR4_PAGING =
      Cpu.CR4_PSE | Cpu.CR4_PAE | Cpu.CR4_PGE | Cpu.CR4_PCIDE | Cpu.CR4_SMEP | Cpu.CR4_SMAP;

  /// In CR3 with PCIDs: keep the translations of this address space.
  private static final long CR3_NO_FLUSH = 1L << 63;

  private ControlRegisters() {}

  // ---- Operations
  // -----------------------------------------------------------------------------------

  /// MOV r, CRn.
  static @Nullable Operation moveFrom(Instruction i) {
    return exists(i) ? new MoveFrom(i.reg, i.rm, i.is64()) : null;
  }

  /// MOV CRn, r.
  static @Nullable Operation moveTo(Instruction i) {
    return exists(i) ? new MoveTo(i.reg, i.rm, i.is64()) : null;
  }

  private static boolean exists(Instruction i) {
    return switch (i.reg) {
      case 0, 2, 3, 4 -> true;
      case 8 -> i.is64();
      default -> false;
    };
  }

  private static void requireSupervisor(Cpu c) {
    if (c.cpl != 0) {
      throw c.generalProtection(0);
    }
  }

  private static final class MoveFrom extends Operation {
    private final int control;
    private final int register;
    private final boolean wide;

    MoveFrom(int control, int register, boolean wide) {
      this.control = control;
      this.register = register;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      long value =
          switch (control) {
            case 0 -> c.cr0;
            case 2 -> c.cr2;
            case 3 -> c.cr3;
            case 4 -> c.cr4;
            default -> c.apic.taskPriority();
          };
      c.r[register] = wide ? value : value & 0xFFFF_FFFFL;
    }
  }

  private static final class MoveTo extends Operation {
    private final int control;
    private final int register;
    private final boolean wide;

    MoveTo(int control, int register, boolean wide) {
      this.control = control;
      this.register = register;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      long value = wide ? c.r[register] : c.r[register] & 0xFFFF_FFFFL;
      switch (control) {
        case 0 -> writeCr0(c, value);
        case 2 -> c.cr2 = value;
        case 3 -> writeCr3(c, value);
        case 4 -> writeCr4(c, value);
        default -> writeCr8(c, value);
      }
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  /// LMSW: may set PE, but not clear it.
  static final class LoadMachineStatusWord extends Operation {
    private final int register;
    private final @Nullable MemoryOperand memory;

    LoadMachineStatusWord(int register, @Nullable MemoryOperand memory) {
      this.register = register;
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      var m = memory;
      int value = m != null ? m.load16(c) : c.get16(register);
      writeCr0(c, c.cr0 & ~0xEL | value & 0xF);
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  /// SMSW.
  static final class StoreMachineStatusWord extends Operation {
    private final int register;
    private final @Nullable MemoryOperand memory;
    private final int size;

    StoreMachineStatusWord(int register, @Nullable MemoryOperand memory, int size) {
      this.register = register;
      this.memory = memory;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      DescriptorTables.checkUserMode(c);
      var m = memory;
      if (m != null) {
        m.store16(c, (int) c.cr0);
      } else if (size == 16) {
        c.set16(register, (int) c.cr0);
      } else {
        c.r[register] = c.cr0;
      }
    }
  }

  /// CLTS.
  static final class ClearTaskSwitched extends Operation {
    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      c.cr0 &= ~Cpu.CR0_TS;
    }
  }

  /// XGETBV.
  static final class GetExtended extends Operation {
    @Override
    void execute(Cpu c) {
      if ((c.cr4 & Cpu.CR4_OSXSAVE) == 0) {
        throw c.invalidOpcode();
      }
      int register = c.get32(Cpu.RCX);
      // Register 1, XINUSE, where CPUID says so (SDM volume 1, 13.2).
      boolean inUse =
          register == 1
              && (CpuidInstruction.feature(c, 0xD, 1, CpuidInstruction.EAX) & 1 << 2) != 0;
      if (register != 0 && !inUse) {
        throw c.generalProtection(0);
      }
      long value = inUse ? StateImageInstructions.inUseOrControl(c, c.xcr0) : c.xcr0;
      c.set32(Cpu.RAX, (int) value);
      c.set32(Cpu.RDX, (int) (value >>> 32));
    }
  }

  /// XSETBV.
  static final class SetExtended extends Operation {
    @Override
    void execute(Cpu c) {
      if ((c.cr4 & Cpu.CR4_OSXSAVE) == 0) {
        throw c.invalidOpcode();
      }
      long value = c.r[Cpu.RDX] << 32 | c.r[Cpu.RAX] & 0xFFFF_FFFFL;
      if (c.cpl != 0
          || c.get32(Cpu.RCX) != 0
          || (value & 1) == 0
          || (value & Cpu.XCR0_AVX) == 4
          || (value & ~CpuidInstruction.supportedXcr0(c)) != 0) {
        throw c.generalProtection(0);
      }
      c.xcr0 = value;
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  // ---- The registers
  // --------------------------------------------------------------------------------

  static void writeCr0(Cpu c, long value) {
    if (value >>> 32 != 0) {
      throw c.generalProtection(0);
    }
    value = value & CR0_DEFINED | Cpu.CR0_ET;
    boolean paging = (value & Cpu.CR0_PG) != 0;
    if ((paging && (value & Cpu.CR0_PE) == 0)
        || (value & (Cpu.CR0_NW | Cpu.CR0_CD)) == Cpu.CR0_NW) {
      throw c.generalProtection(0);
    }
    boolean pagingNow = (c.cr0 & Cpu.CR0_PG) != 0;
    long efer = c.efer;
    if (paging && !pagingNow && (efer & Cpu.EFER_LME) != 0) {
      if ((c.cr4 & Cpu.CR4_PAE) == 0
          || (c.segmentAttributes[Cpu.CS] & Descriptor.LONG) != 0
          || (c.trAttributes & 8) == 0) {
        throw c.generalProtection(0);
      }
      efer |= Cpu.EFER_LMA;
    } else if (!paging && pagingNow) {
      if (c.is64() || (c.cr4 & Cpu.CR4_PCIDE) != 0) {
        throw c.generalProtection(0);
      }
      efer &= ~Cpu.EFER_LMA;
    }
    if (paging && !pagingNow && (efer & Cpu.EFER_LMA) == 0 && (c.cr4 & Cpu.CR4_PAE) != 0) {
      checkPageDirectoryPointers(c, c.cr3);
    }
    long changed = c.cr0 ^ value;
    c.efer = efer;
    c.cr0 = value;
    if ((changed & (Cpu.CR0_PG | Cpu.CR0_WP | Cpu.CR0_PE)) != 0) {
      c.mmu.flush();
      if ((value & Cpu.CR0_PE) == 0) {
        c.cpl = 0;
      }
      c.modeChanged();
    }
  }

  static void writeCr3(Cpu c, long value) {
    if (c.longMode()) {
      if ((c.cr4 & Cpu.CR4_PCIDE) != 0) {
        value &= ~CR3_NO_FLUSH;
      }
      if (value >>> Mmu.PHYSICAL_BITS != 0) {
        throw c.generalProtection(0);
      }
    } else {
      value &= 0xFFFF_FFFFL;
      if ((c.cr0 & Cpu.CR0_PG) != 0 && (c.cr4 & Cpu.CR4_PAE) != 0) {
        checkPageDirectoryPointers(c, value);
      }
    }
    c.cr3 = value;
    c.mmu.flushNonGlobal();
  }

  /// With PAE paging outside long mode the four entries that CR3 points to are checked when they
  /// are loaded (SDM volume 3, 4.4.1).
  private static void checkPageDirectoryPointers(Cpu c, long cr3) {
    // Reserved: bits 2:1, 8:5, and those over the physical address.
    long reserved = 0x1E6 | -(1L << Mmu.PHYSICAL_BITS);
    for (int i = 0; i < 4; i++) {
      long entry = c.mmu.loadPhysical((cr3 & 0xFFFF_FFE0L) + 8 * i, 8);
      if ((entry & 1) != 0 && (entry & reserved) != 0) {
        throw c.generalProtection(0);
      }
    }
  }

  static void writeCr4(Cpu c, long value) {
    if ((value & ~c.supportedCr4) != 0) {
      throw c.generalProtection(0);
    }
    long set = value & ~c.cr4;
    long changed = value ^ c.cr4;
    if (c.longMode() && (value & Cpu.CR4_PAE) == 0) {
      throw c.generalProtection(0);
    }
    if ((set & Cpu.CR4_PCIDE) != 0 && (!c.longMode() || (c.cr3 & 0xFFF) != 0)) {
      throw c.generalProtection(0);
    }
    boolean pae =
        (c.cr0 & Cpu.CR0_PG) != 0
            && !c.longMode()
            && (value & Cpu.CR4_PAE) != 0
            && (changed & CR4_PAGING) != 0;
    if (pae) {
      checkPageDirectoryPointers(c, c.cr3);
    }
    if ((changed & CR4_PAGING) != 0) {
      // PGE is looked at by the flush itself: flush with neither global nor other entries left.
      c.mmu.flush();
    }
    c.cr4 = value;
    c.modeChanged();
  }

  /// The bits of CR4 that a guest's CPUID offers.
  static long supportedCr4(CpuidTable cpuid) {
    int features = CpuidInstruction.feature(cpuid, 1, 0, CpuidInstruction.ECX);
    int extended = CpuidInstruction.feature(cpuid, 7, 0, CpuidInstruction.EBX);
    int more = CpuidInstruction.feature(cpuid, 7, 0, CpuidInstruction.ECX);
    long bits = CR4_ALWAYS;
    bits |= (features & 1 << 17) != 0 ? Cpu.CR4_PCIDE : 0;
    bits |= (features & 1 << 26) != 0 ? Cpu.CR4_OSXSAVE : 0;
    bits |= (extended & 1) != 0 ? Cpu.CR4_FSGSBASE : 0;
    bits |= (extended & 1 << 7) != 0 ? Cpu.CR4_SMEP : 0;
    bits |= (extended & 1 << 20) != 0 ? Cpu.CR4_SMAP : 0;
    bits |= (more & 1 << 2) != 0 ? Cpu.CR4_UMIP : 0;
    return bits;
  }

  private static void writeCr8(Cpu c, long value) {
    if (value >>> 4 != 0) {
      throw c.generalProtection(0);
    }
    c.apic.setTaskPriority((int) value);
    c.owner.flagsChanged();
  }
}
