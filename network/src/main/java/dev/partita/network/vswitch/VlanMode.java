package dev.partita.network.vswitch;

import java.util.List;
import java.util.TreeSet;

/// How a port takes part in VLANs (IEEE 802.1Q); in Hyper-V, `Set-VMNetworkAdapterVlan`. Number 0
/// stands for frames that are in no VLAN.
public sealed interface VlanMode {
  /// Only frames without a VLAN.
  VlanMode UNTAGGED = new Access(0);

  /// Everything as it is: untagged frames without a VLAN, and all VLANs tagged.
  VlanMode ALL = new Trunk(0, Trunk.EVERY);

  /// The VLAN that a frame with a tag, or without, belongs to.
  ///
  /// @param tag of the frame or -1
  /// @return 0 to 4094, or -1 if the frame is not accepted
  int enter(int tag);

  /// Whether frames of a VLAN go out here.
  boolean carries(int vlan);

  /// The VLAN that goes out without a tag.
  int untagged();

  /// The port is in one VLAN and does not see tags.
  ///
  /// @param vlan 0 to 4094
  record Access(int vlan) implements VlanMode {
    public Access {
      requireVlan(vlan);
    }

    @Override
    public int enter(int tag) {
      // A tag of VLAN 0 carries only a priority.
      return (tag & 0xfff) == 0 || tag < 0 ? vlan : -1;
    }

    @Override
    public boolean carries(int vlan) {
      return vlan == this.vlan;
    }

    @Override
    public int untagged() {
      return vlan;
    }
  }

  /// The port sees tags of several VLANs; untagged frames are in the native one.
  ///
  /// @param nativeVlan 0 to 4094
  /// @param allowed tagged VLANs
  record Trunk(int nativeVlan, List<Integer> allowed) implements VlanMode {
    static final List<Integer> EVERY =
        java.util.stream.IntStream.rangeClosed(1, 4094).boxed().toList();

    public Trunk {
      requireVlan(nativeVlan);
      allowed.forEach(VlanMode::requireVlan);
      allowed = allowed == EVERY ? allowed : List.copyOf(new TreeSet<>(allowed));
    }

    @Override
    public int enter(int tag) {
      int vlan = tag < 0 ? 0 : tag & 0xfff;
      return vlan == 0 ? nativeVlan : carries(vlan) ? vlan : -1;
    }

    @Override
    public boolean carries(int vlan) {
      return vlan == nativeVlan
          || (allowed == EVERY
              ? vlan < 4095
              : java.util.Collections.binarySearch(allowed, vlan) >= 0);
    }

    @Override
    public int untagged() {
      return nativeVlan;
    }
  }

  private static void requireVlan(int vlan) {
    if (vlan < 0 || vlan > 4094) {
      throw new IllegalArgumentException("VLAN %d is not in 0 to 4094".formatted(vlan));
    }
  }
}
