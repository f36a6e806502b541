package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC and XRSTOR, for the components x87, SSE and AVX. Intel
/// SDM volume 1, 10.5 and chapter 13.
final class StateImageInstructions extends Operation {
  private static final int FXSAVE = 0;
  private static final int FXRSTOR = 1;
  private static final int XSAVE = 4;
  private static final int XRSTOR = 5;
  private static final int XSAVEOPT = 6;
  private static final int XSAVEC = 7;

  // Components: SDM volume 1, 13.1.
  private static final long X87_COMPONENT = 1;
  private static final long SSE_COMPONENT = 2;
  private static final long AVX_COMPONENT = 4;

  /// XCOMP_BV bit: the image is compacted.
  private static final long COMPACTED = 1L << 63;

  // The header: SDM volume 1, 13.4.2.
  private static final int HEADER_SIZE = 64;
  private static final int AREA_SIZE = StateImage.LEGACY_SIZE + HEADER_SIZE;

  /// Where the AVX component is: in the compacted format too, as no other can lie before it.
  private static final int AVX = AREA_SIZE;

  private static final int AVX_SIZE = 256;
  private static final int XSTATE_BV = StateImage.LEGACY_SIZE;
  private static final int XCOMP_BV = XSTATE_BV + 8;

  private static final int MXCSR_INITIAL = 0x1F80;

  private final int kind;
  private final MemoryOperand memory;
  private final boolean wide;

  private StateImageInstructions(Instruction i, int kind) {
    this.kind = kind;
    this.memory = i.operand();
    this.wide = i.rexW() && i.is64();
  }

  static @Nullable Operation create(Instruction i) {
    if (i.operandPrefix || i.repeatPrefix != 0) {
      return null;
    }
    int extension = i.extension();
    if (i.opcode == 0xAE) {
      return switch (extension) {
        case FXSAVE, FXRSTOR, XSAVE, XRSTOR, XSAVEOPT -> new StateImageInstructions(i, extension);
        default -> null;
      };
    }
    return i.opcode == 0xC7 && extension == 4 ? new StateImageInstructions(i, XSAVEC) : null;
  }

  @Override
  void execute(Cpu c) {
    switch (kind) {
      case FXSAVE -> fxsave(c);
      case FXRSTOR -> fxrstor(c);
      case XRSTOR -> xrstor(c);
      default -> xsave(c);
    }
  }

  private long area(Cpu c, int size, int alignment, boolean write) {
    long at = write ? memory.writeAddress(c, size) : memory.readAddress(c, size);
    if ((at & alignment - 1) != 0) {
      throw c.generalProtection(0);
    }
    if (write) {
      StateImage.prepareWrite(c, at, size);
    } else {
      StateImage.prepareRead(c, at, size);
    }
    return at;
  }

  // Without CR4.OSFXSR, the pair leaves MXCSR and the XMM registers alone, as a processor may (SDM
  // volume 3, 2.5).

  private void fxsave(Cpu c) {
    c.requireX87();
    long at = area(c, StateImage.LEGACY_SIZE, 16, true);
    StateImage.storeX87(c, at, wide);
    StateImage.storeMxcsr(c, at);
    if ((c.cr4 & Cpu.CR4_OSFXSR) != 0) {
      StateImage.storeXmm(c, at);
    }
  }

  private void fxrstor(Cpu c) {
    c.requireX87();
    long at = area(c, StateImage.LEGACY_SIZE, 16, false);
    int mxcsr = StateImage.checkedMxcsr(c, at);
    StateImage.loadX87(c, at, wide);
    if ((c.cr4 & Cpu.CR4_OSFXSR) != 0) {
      c.mxcsr = mxcsr;
      StateImage.loadXmm(c, at);
    }
  }

  private static void requireXsave(Cpu c) {
    if ((c.cr4 & Cpu.CR4_OSXSAVE) == 0) {
      throw c.invalidOpcode();
    }
    if ((c.cr0 & Cpu.CR0_TS) != 0) {
      throw c.raise(GuestFault.DEVICE_NOT_AVAILABLE);
    }
  }

  /// The components asked for: EDX:EAX and XCR0.
  private static long requested(Cpu c) {
    long asked = c.r[Cpu.RDX] << 32 | c.r[Cpu.RAX] & 0xFFFF_FFFFL;
    return asked & c.xcr0 & (X87_COMPONENT | SSE_COMPONENT | AVX_COMPONENT);
  }

  /// XINUSE (SDM volume 1, 13.6): components that are not in their initial configuration. MXCSR is
  /// no part of it.
  ///
  /// @param components those that matter
  static long inUse(Cpu c, long components) {
    long inUse = 0;
    if ((components & X87_COMPONENT) != 0 && !c.x87.isInitial()) {
      inUse |= X87_COMPONENT;
    }
    if ((components & SSE_COMPONENT) != 0 && StateImage.xmmInUse(c)) {
      inUse |= SSE_COMPONENT;
    }
    if ((components & AVX_COMPONENT) != 0 && StateImage.ymmInUse(c)) {
      inUse |= AVX_COMPONENT;
    }
    return inUse;
  }

  /// The same with the SSE component also if MXCSR is not initial, as XGETBV and XSAVEC have it.
  static long inUseOrControl(Cpu c, long components) {
    long inUse = inUse(c, components);
    return c.mxcsr != MXCSR_INITIAL ? inUse | components & SSE_COMPONENT : inUse;
  }

  private void xsave(Cpu c) {
    requireXsave(c);
    long requested = requested(c);
    long inUse = kind == XSAVEC ? inUseOrControl(c, requested) : inUse(c, requested);
    long saved = kind == XSAVE ? requested : inUse;
    int size = (saved & AVX_COMPONENT) != 0 ? AREA_SIZE + AVX_SIZE : AREA_SIZE;
    long at = area(c, size, 64, true);
    if ((saved & X87_COMPONENT) != 0) {
      StateImage.storeX87(c, at, wide);
    }
    if ((saved & SSE_COMPONENT) != 0) {
      StateImage.storeXmm(c, at);
    }
    if ((saved & AVX_COMPONENT) != 0) {
      StateImage.storeYmm(c, at + AVX);
    }
    // MXCSR goes with the request for SSE or AVX in the standard format, with the SSE component in
    // the compacted one.
    if (kind == XSAVEC
        ? (saved & SSE_COMPONENT) != 0
        : (requested & (SSE_COMPONENT | AVX_COMPONENT)) != 0) {
      StateImage.storeMxcsr(c, at);
    }
    if (kind == XSAVEC) {
      c.store64(at + XSTATE_BV, inUse);
      c.store64(at + XCOMP_BV, requested | COMPACTED);
    } else {
      long before = c.load64(at + XSTATE_BV);
      c.store64(at + XSTATE_BV, before & ~requested | inUse);
    }
  }

  private void xrstor(Cpu c) {
    requireXsave(c);
    long requested = requested(c);
    long at = area(c, AREA_SIZE, 64, false);
    long present = c.load64(at + XSTATE_BV);
    long format = c.load64(at + XCOMP_BV);
    boolean compacted = (format & COMPACTED) != 0;
    boolean valid;
    if (compacted) {
      long reserved = 0;
      for (int i = 16; i < HEADER_SIZE; i += 8) {
        reserved |= c.load64(at + XSTATE_BV + i);
      }
      valid = (format & ~COMPACTED & ~c.xcr0) == 0 && (present & ~format) == 0 && reserved == 0;
      // Bit 63 of XCOMP_BV is no component.
      valid &= (present & COMPACTED) == 0;
    } else {
      valid = format == 0 && (present & ~c.xcr0) == 0 && c.load64(at + XSTATE_BV + 16) == 0;
    }
    if (!valid) {
      throw c.generalProtection(0);
    }
    long restored = requested & present;
    if ((restored & AVX_COMPONENT) != 0) {
      StateImage.prepareRead(c, at + AVX, AVX_SIZE);
    }
    int mxcsr = c.mxcsr;
    if (compacted
        ? (restored & SSE_COMPONENT) != 0
        : (requested & (SSE_COMPONENT | AVX_COMPONENT)) != 0) {
      mxcsr = StateImage.checkedMxcsr(c, at);
    } else if ((requested & SSE_COMPONENT) != 0) {
      mxcsr = MXCSR_INITIAL;
    }
    if ((requested & X87_COMPONENT) != 0) {
      if ((restored & X87_COMPONENT) != 0) {
        StateImage.loadX87(c, at, wide);
      } else {
        c.x87.reset();
      }
    }
    c.mxcsr = mxcsr;
    if ((requested & SSE_COMPONENT) != 0) {
      if ((restored & SSE_COMPONENT) != 0) {
        StateImage.loadXmm(c, at);
      } else {
        StateImage.clearXmm(c);
      }
    }
    if ((requested & AVX_COMPONENT) != 0) {
      if ((restored & AVX_COMPONENT) != 0) {
        StateImage.loadYmm(c, at + AVX);
      } else {
        StateImage.clearYmm(c);
      }
    }
  }
}
