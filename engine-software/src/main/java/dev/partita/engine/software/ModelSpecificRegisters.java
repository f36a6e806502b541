package dev.partita.engine.software;

import dev.partita.hypervisor.ProcessorState.Msr;
import java.util.ArrayList;
import java.util.List;

/// The model-specific registers of one processor: those without a home elsewhere, and the rules of
/// RDMSR and WRMSR. Intel SDM volume 4, table 2-2 ("IA-32 Architectural MSRs").
///
/// What is not known here goes to the partition's owner as an intercept; unanswered, it is a
/// general-protection fault.
final class ModelSpecificRegisters {
  private static final int IA32_TIME_STAMP_COUNTER = 0x10;
  private static final int IA32_PLATFORM_ID = 0x17;
  private static final int IA32_APIC_BASE = 0x1B;
  private static final int IA32_FEATURE_CONTROL = 0x3A;
  private static final int IA32_TSC_ADJUST = 0x3B;
  private static final int IA32_BIOS_UPDT_TRIG = 0x79;
  private static final int IA32_BIOS_SIGN_ID = 0x8B;
  private static final int MSR_PLATFORM_INFO = 0xCE;
  private static final int IA32_MTRRCAP = 0xFE;
  private static final int IA32_ARCH_CAPABILITIES = 0x10A;
  private static final int IA32_SYSENTER_CS = 0x174;
  private static final int IA32_SYSENTER_ESP = 0x175;
  private static final int IA32_SYSENTER_EIP = 0x176;
  private static final int IA32_MCG_CAP = 0x179;
  private static final int IA32_MCG_STATUS = 0x17A;
  private static final int IA32_MISC_ENABLE = 0x1A0;
  private static final int IA32_DEBUGCTL = 0x1D9;
  private static final int IA32_MTRR_PHYSBASE0 = 0x200;
  private static final int IA32_PAT = 0x277;
  private static final int IA32_MTRR_DEF_TYPE = 0x2FF;
  private static final int IA32_TSC_DEADLINE = 0x6E0;
  private static final int X2APIC_FIRST = 0x800;
  private static final int X2APIC_LAST = 0x8FF;
  private static final int IA32_EFER = 0xC000_0080;
  private static final int IA32_STAR = 0xC000_0081;
  private static final int IA32_LSTAR = 0xC000_0082;
  private static final int IA32_CSTAR = 0xC000_0083;
  private static final int IA32_FMASK = 0xC000_0084;
  private static final int IA32_FS_BASE = 0xC000_0100;
  private static final int IA32_GS_BASE = 0xC000_0101;
  private static final int IA32_KERNEL_GS_BASE = 0xC000_0102;
  private static final int IA32_TSC_AUX = 0xC000_0103;

  /// Fixed-range MTRRs in the order of their addresses (SDM volume 3, 12.11.2.2).
  private static final int[] FIXED_RANGES = {
    0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F
  };

  private static final int VARIABLE_RANGES = 8;

  /// IA32_MTRRCAP: number of variable ranges, fixed ranges (8), write-combining (10).
  private static final long MTRR_CAPABILITIES = VARIABLE_RANGES | 1 << 8 | 1 << 10;

  private static final long EFER_WRITABLE = Cpu.EFER_SCE | Cpu.EFER_LME | Cpu.EFER_NXE;

  /// IA32_ARCH_CAPABILITIES: this processor does not speculate, so it leaks by none of these
  /// ways: RDCL_NO 0, SKIP_L1DFL_VMENTRY 3, SSB_NO 4, MDS_NO 5, IF_PSCHANGE_MC_NO 6, TAA_NO 8,
  /// SBDR_SSDP_NO 13, FBSDP_NO 14, PSDP_NO 15, BHI_NO 20, PBRSB_NO 24, GDS_NO 26, RFDS_NO 27,
  /// ITS_NO 62.
  private static final long ARCHITECTURAL_CAPABILITIES =
      1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 20
          | 1 << 24 | 1 << 26 | 1 << 27 | 1L << 62;

  /// IA32_MISC_ENABLE: fast strings (0), no branch trace store (11), no precise event sampling
  /// (12).
  private static final long MISC_ENABLE_RESET = 1 | 1 << 11 | 1 << 12;

  /// IA32_MISC_ENABLE bits that may be written: fast strings, thermal control (3), xTPR disable
  /// (23). What else is defined reads as it is and ignores writes.
  private static final long MISC_ENABLE_WRITABLE = 1 | 1 << 3 | 1 << 23;

  private static final long MISC_ENABLE_DEFINED =
      MISC_ENABLE_WRITABLE | 1 << 7 | 1 << 11 | 1 << 12 | 1 << 16 | 1 << 18 | 1 << 22 | 1L << 34;

  /// The PAT after reset: WB, WT, UC-, UC, twice (SDM volume 3, 12.12.4).
  private static final long PAT_RESET = 0x0007_0406_0007_0406L;

  long star;
  long lstar;
  long cstar;
  long fmask;
  long kernelGsBase;
  long sysenterCs;
  long sysenterEsp;
  long sysenterEip;
  long tscAux;

  /// IA32_DEBUGCTL; its bits are kept and have no effect.
  long debugControl;

  private long pat = PAT_RESET;
  private long miscEnable = MISC_ENABLE_RESET;
  private long machineCheckStatus;
  private long updateSignature;
  private long mtrrDefault;
  private final long[] mtrrFixed = new long[FIXED_RANGES.length];
  private final long[] mtrrVariable = new long[2 * VARIABLE_RANGES];

  /// State after power-up.
  void reset() {
    star = 0;
    lstar = 0;
    cstar = 0;
    fmask = 0;
    kernelGsBase = 0;
    sysenterCs = 0;
    sysenterEsp = 0;
    sysenterEip = 0;
    tscAux = 0;
    debugControl = 0;
    pat = PAT_RESET;
    miscEnable = MISC_ENABLE_RESET;
    machineCheckStatus = 0;
    updateSignature = 0;
    mtrrDefault = 0;
    java.util.Arrays.fill(mtrrFixed, 0);
    java.util.Arrays.fill(mtrrVariable, 0);
  }

  // ---- RDMSR
  // ----------------------------------------------------------------------------------------

  /// @throws GuestFault general protection for a register that does not exist
  long read(Cpu c, int index) {
    return switch (index) {
      case IA32_TIME_STAMP_COUNTER -> c.owner.tsc().read();
      case IA32_PLATFORM_ID -> 0;
      case IA32_APIC_BASE -> c.apic.apicBase();
      // Locked, with nothing enabled.
      case IA32_FEATURE_CONTROL -> 1;
      case IA32_TSC_ADJUST -> c.owner.tsc().adjust();
      case IA32_BIOS_SIGN_ID -> updateSignature;
      case MSR_PLATFORM_INFO -> 0;
      case IA32_MTRRCAP -> MTRR_CAPABILITIES;
      case IA32_ARCH_CAPABILITIES -> {
        if (!offersArchitecturalCapabilities(c)) {
          throw c.generalProtection(0);
        }
        yield ARCHITECTURAL_CAPABILITIES;
      }
      case IA32_SYSENTER_CS -> sysenterCs;
      case IA32_SYSENTER_ESP -> sysenterEsp;
      case IA32_SYSENTER_EIP -> sysenterEip;
      // No banks.
      case IA32_MCG_CAP -> 0;
      case IA32_MCG_STATUS -> machineCheckStatus;
      case IA32_MISC_ENABLE -> miscEnable;
      case IA32_DEBUGCTL -> debugControl;
      case IA32_PAT -> pat;
      case IA32_MTRR_DEF_TYPE -> mtrrDefault;
      case IA32_TSC_DEADLINE -> c.apic.tscDeadline();
      case IA32_EFER -> c.efer;
      case IA32_STAR -> star;
      case IA32_LSTAR -> lstar;
      case IA32_CSTAR -> cstar;
      case IA32_FMASK -> fmask;
      case IA32_FS_BASE -> c.segmentBase[Cpu.FS];
      case IA32_GS_BASE -> c.segmentBase[Cpu.GS];
      case IA32_KERNEL_GS_BASE -> kernelGsBase;
      case IA32_TSC_AUX -> tscAux;
      default -> readOther(c, index);
    };
  }

  private static boolean offersArchitecturalCapabilities(Cpu c) {
    return (CpuidInstruction.feature(c, 7, 0, CpuidInstruction.EDX) & 1 << 29) != 0;
  }

  private long readOther(Cpu c, int index) {
    if (isVariableRange(index)) {
      return mtrrVariable[index - IA32_MTRR_PHYSBASE0];
    }
    int fixed = fixedRange(index);
    if (fixed >= 0) {
      return mtrrFixed[fixed];
    }
    var intercept = c.msrRead.prepare(index);
    if (index >= X2APIC_FIRST && index <= X2APIC_LAST) {
      if (!c.apic.readMsr(index, intercept)) {
        throw c.generalProtection(0);
      }
      return intercept.value;
    }
    c.owner.intercept(intercept);
    if (!intercept.handled) {
      throw c.generalProtection(0);
    }
    return intercept.value;
  }

  private static boolean isVariableRange(int index) {
    return index >= IA32_MTRR_PHYSBASE0 && index < IA32_MTRR_PHYSBASE0 + 2 * VARIABLE_RANGES;
  }

  /// The place of a fixed-range MTRR in {@link #FIXED_RANGES}, or -1.
  private static int fixedRange(int index) {
    if (index < FIXED_RANGES[0] || index > FIXED_RANGES[FIXED_RANGES.length - 1]) {
      return -1;
    }
    for (int i = 0; i < FIXED_RANGES.length; i++) {
      if (FIXED_RANGES[i] == index) {
        return i;
      }
    }
    return -1;
  }

  // ---- WRMSR
  // ----------------------------------------------------------------------------------------

  /// @throws GuestFault general protection for a register that does not exist or a value that it
  ///     cannot take
  void write(Cpu c, int index, long value) {
    switch (index) {
      case IA32_TIME_STAMP_COUNTER -> {
        c.owner.tsc().write(value);
        rearmDeadline(c);
      }
      case IA32_APIC_BASE -> {
        require(c, c.apic.setApicBase(value));
        // Which page is the APIC's, and who may write it, may have changed.
        c.mmu.flush();
        c.owner.flagsChanged();
      }
      case IA32_TSC_ADJUST -> {
        c.owner.tsc().setAdjust(value);
        rearmDeadline(c);
      }
      // There is no microcode to load; a guest that tries finds the old revision.
      case IA32_BIOS_UPDT_TRIG -> {}
      case IA32_BIOS_SIGN_ID -> updateSignature = value;
      case IA32_SYSENTER_CS -> sysenterCs = value & 0xFFFF_FFFFL;
      case IA32_SYSENTER_ESP -> sysenterEsp = canonical(c, value);
      case IA32_SYSENTER_EIP -> sysenterEip = canonical(c, value);
      case IA32_MCG_STATUS -> {
        require(c, value >>> 3 == 0);
        machineCheckStatus = value;
      }
      case IA32_MISC_ENABLE -> {
        require(c, (value & ~MISC_ENABLE_DEFINED) == 0);
        miscEnable = miscEnable & ~MISC_ENABLE_WRITABLE | value & MISC_ENABLE_WRITABLE;
      }
      case IA32_DEBUGCTL -> {
        // LBR and BTF.
        require(c, (value & ~3L) == 0);
        debugControl = value;
      }
      case IA32_PAT -> {
        require(c, isPat(value));
        pat = value;
      }
      case IA32_MTRR_DEF_TYPE -> {
        require(c, (value & ~0xCFFL) == 0 && isMemoryType((int) value & 0xFF));
        mtrrDefault = value;
      }
      case IA32_TSC_DEADLINE -> {
        c.apic.setTscDeadline(value);
        c.owner.flagsChanged();
      }
      case IA32_EFER -> writeEfer(c, value);
      case IA32_STAR -> star = value;
      case IA32_LSTAR -> lstar = canonical(c, value);
      case IA32_CSTAR -> cstar = canonical(c, value);
      case IA32_FMASK -> {
        require(c, value >>> 32 == 0);
        fmask = value;
      }
      case IA32_FS_BASE -> c.segmentBase[Cpu.FS] = canonical(c, value);
      case IA32_GS_BASE -> c.segmentBase[Cpu.GS] = canonical(c, value);
      case IA32_KERNEL_GS_BASE -> kernelGsBase = canonical(c, value);
      case IA32_TSC_AUX -> {
        require(c, value >>> 32 == 0);
        tscAux = value;
      }
      case IA32_PLATFORM_ID,
          IA32_FEATURE_CONTROL,
          MSR_PLATFORM_INFO,
          IA32_MTRRCAP,
          IA32_ARCH_CAPABILITIES,
          IA32_MCG_CAP ->
          throw c.generalProtection(0);
      default -> writeOther(c, index, value);
    }
  }

  private void writeOther(Cpu c, int index, long value) {
    int fixed = fixedRange(index);
    if (isVariableRange(index)) {
      long reserved = -(1L << Mmu.PHYSICAL_BITS);
      // Base: bits 11:8 reserved, then a type. Mask: only bit 11 below the address.
      boolean base = (index & 1) == 0;
      reserved |= base ? 0xF00 : 0x7FF;
      require(c, (value & reserved) == 0 && (!base || isMemoryType((int) value & 0xFF)));
      mtrrVariable[index - IA32_MTRR_PHYSBASE0] = value;
    } else if (fixed >= 0) {
      for (int i = 0; i < 8; i++) {
        require(c, isMemoryType((int) (value >>> 8 * i) & 0xFF));
      }
      mtrrFixed[fixed] = value;
    } else if (index >= X2APIC_FIRST && index <= X2APIC_LAST) {
      require(c, c.apic.writeMsr(index, value));
      c.owner.flagsChanged();
    } else {
      var intercept = c.msrWrite.prepare(index, value);
      c.owner.intercept(intercept);
      require(c, intercept.handled);
    }
  }

  private static void require(Cpu c, boolean valid) {
    if (!valid) {
      throw c.generalProtection(0);
    }
  }

  private static long canonical(Cpu c, long address) {
    require(c, Cpu.canonical(address));
    return address;
  }

  /// UC, WC, WT, WP, WB (SDM volume 3, table 12-8).
  private static boolean isMemoryType(int type) {
    return type <= 6 && type != 2 && type != 3;
  }

  /// Eight memory types, each with UC- (7) too.
  private static boolean isPat(long value) {
    for (int i = 0; i < 8; i++) {
      int type = (int) (value >>> 8 * i) & 0xFF;
      if (type != 7 && !isMemoryType(type)) {
        return false;
      }
    }
    return true;
  }

  private static void writeEfer(Cpu c, long value) {
    // LMA is read-only: writes of it are ignored.
    long writable = value & ~Cpu.EFER_LMA;
    require(c, (writable & ~EFER_WRITABLE) == 0);
    long changed = (c.efer ^ writable) & EFER_WRITABLE;
    require(c, (changed & Cpu.EFER_LME) == 0 || (c.cr0 & Cpu.CR0_PG) == 0);
    c.efer = writable | c.efer & Cpu.EFER_LMA;
    if ((changed & Cpu.EFER_NXE) != 0) {
      c.mmu.flush();
    }
    c.modeChanged();
  }

  // ---- Saved state
  // ----------------------------------------------------------------------------------

  /// The registers that have no field of their own in a processor's saved state, ascending.
  List<Msr> save(Cpu c) {
    var list = new ArrayList<Msr>();
    list.add(new Msr(IA32_TSC_ADJUST, c.owner.tsc().adjust()));
    list.add(new Msr(IA32_BIOS_SIGN_ID, updateSignature));
    list.add(new Msr(IA32_SYSENTER_CS, sysenterCs));
    list.add(new Msr(IA32_SYSENTER_ESP, sysenterEsp));
    list.add(new Msr(IA32_SYSENTER_EIP, sysenterEip));
    list.add(new Msr(IA32_MCG_STATUS, machineCheckStatus));
    list.add(new Msr(IA32_MISC_ENABLE, miscEnable));
    list.add(new Msr(IA32_DEBUGCTL, debugControl));
    for (int i = 0; i < mtrrVariable.length; i++) {
      list.add(new Msr(IA32_MTRR_PHYSBASE0 + i, mtrrVariable[i]));
    }
    for (int i = 0; i < mtrrFixed.length; i++) {
      list.add(new Msr(FIXED_RANGES[i], mtrrFixed[i]));
    }
    list.add(new Msr(IA32_PAT, pat));
    list.add(new Msr(IA32_MTRR_DEF_TYPE, mtrrDefault));
    list.add(new Msr(IA32_STAR, star));
    list.add(new Msr(IA32_LSTAR, lstar));
    list.add(new Msr(IA32_CSTAR, cstar));
    list.add(new Msr(IA32_FMASK, fmask));
    list.add(new Msr(IA32_KERNEL_GS_BASE, kernelGsBase));
    list.add(new Msr(IA32_TSC_AUX, tscAux));
    list.sort((a, b) -> Integer.compareUnsigned(a.index(), b.index()));
    return list;
  }

  /// Whether a saved register is one of {@link #save}: others belong to the partition's owner.
  static boolean isSaved(int index) {
    return switch (index) {
      case IA32_BIOS_SIGN_ID,
          IA32_SYSENTER_CS,
          IA32_SYSENTER_ESP,
          IA32_SYSENTER_EIP,
          IA32_MCG_STATUS,
          IA32_MISC_ENABLE,
          IA32_DEBUGCTL,
          IA32_PAT,
          IA32_MTRR_DEF_TYPE,
          IA32_STAR,
          IA32_LSTAR,
          IA32_CSTAR,
          IA32_FMASK,
          IA32_KERNEL_GS_BASE,
          IA32_TSC_AUX ->
          true;
      default -> isVariableRange(index) || fixedRange(index) >= 0;
    };
  }

  /// IA32_TSC_ADJUST among saved registers, or 0.
  static long savedTscAdjust(List<Msr> saved) {
    for (var msr : saved) {
      if (msr.index() == IA32_TSC_ADJUST) {
        return msr.value();
      }
    }
    return 0;
  }

  /// The counter jumped: the APIC's deadline is now at another time.
  private static void rearmDeadline(Cpu c) {
    c.apic.setTscDeadline(c.apic.tscDeadline());
  }
}
