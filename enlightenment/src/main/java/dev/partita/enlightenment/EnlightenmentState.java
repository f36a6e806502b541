package dev.partita.enlightenment;

import java.util.List;

/// The saveable state of a partition's guest interface.
///
/// @param guestOsId HV_X64_MSR_GUEST_OS_ID
/// @param hypercall HV_X64_MSR_HYPERCALL
/// @param referenceTsc HV_X64_MSR_REFERENCE_TSC
/// @param referenceCount the reference time when the state was taken, in units of 100 ns
/// @param tscSequence of the reference TSC page
/// @param tscInvariantControl HV_X64_MSR_TSC_INVARIANT_CONTROL
/// @param crashParameters HV_X64_MSR_CRASH_P0 to P4
/// @param crashReports how often the guest reported a crash since its reset
/// @param overlays pages laid over RAM, in the order in which they came
/// @param covered RAM below them
/// @param processors by index
public record EnlightenmentState(
    long guestOsId,
    long hypercall,
    long referenceTsc,
    long referenceCount,
    int tscSequence,
    long tscInvariantControl,
    List<Long> crashParameters,
    int crashReports,
    List<Overlay> overlays,
    List<Page> covered,
    List<Processor> processors) {

  public EnlightenmentState {
    if (crashParameters.size() != 5) {
      throw new IllegalArgumentException(crashParameters.size() + " crash parameters, not 5");
    }
    crashParameters = List.copyOf(crashParameters);
    overlays = List.copyOf(overlays);
    covered = List.copyOf(covered);
    processors = List.copyOf(processors);
  }

  /// A page laid over RAM.
  ///
  /// @param kind `HYPERCALL` or `REFERENCE_TSC`
  public record Overlay(String kind, Page page) {}

  /// A page's contents.
  ///
  /// @param address guest-physical
  /// @param contents 4 KiB, not changed after the record is made
  public record Page(long address, byte[] contents) {}

  /// What each virtual processor has of its own.
  ///
  /// @param vpAssistPage HV_X64_MSR_VP_ASSIST_PAGE
  /// @param synic synthetic interrupt controller and timers
  public record Processor(long vpAssistPage, SynicState synic) {}
}
