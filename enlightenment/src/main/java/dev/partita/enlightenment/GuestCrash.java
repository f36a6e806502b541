package dev.partita.enlightenment;

/// A guest's report of its own crash (TLFS, "Partition Crash Enlightenment").
///
/// @param processorIndex the virtual processor that reported
/// @param guestOsId what the guest said it is ("Reporting the Guest OS Identity"); 0 if it did not
/// @param p0 crash parameters, of the guest's own meaning: Windows puts the bug check's code and
///     parameters there. With a message, Linux sets P0 to P2 to 0, and P3 and P4 are the message's
///     address and size; without one, they are error, guest id, RIP, RAX and RSP
/// @param message the message's text, with control characters other than line feed and tab
///     replaced; empty if there is none
public record GuestCrash(
    int processorIndex,
    long guestOsId,
    long p0,
    long p1,
    long p2,
    long p3,
    long p4,
    String message) {
  /// Hears of crashes, on the thread of the reporting processor; must not block for long.
  @FunctionalInterface
  public interface Listener {
    void guestCrashed(GuestCrash crash);

    /// After its report the guest withdrew from the guest interface: another kernel takes over, as
    /// when Linux starts a kernel that saves the memory of the one that crashed.
    default void guestWentOn() {}
  }
}
