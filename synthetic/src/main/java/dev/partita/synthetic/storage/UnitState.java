package dev.partita.synthetic.storage;

import java.util.List;

/// The saveable state of a logical unit; the medium's content is its file's.
public sealed interface UnitState {
  /// What has changed and has not been told yet.
  List<Sense> attentions();

  /// Of a disk.
  ///
  /// @param writeCache whether writes may wait for a flush: the guest may switch it off
  record Disk(List<Sense> attentions, boolean writeCache) implements UnitState {
    public Disk {
      attentions = List.copyOf(attentions);
    }
  }

  /// Of a DVD drive.
  ///
  /// @param trayOpen whether the tray is out
  /// @param locked whether the guest has locked the tray
  /// @param mediaEvent the media event that GET EVENT STATUS NOTIFICATION tells next (MMC-6,
  ///     6.6.3.3), 0 if there is none
  record Dvd(List<Sense> attentions, boolean trayOpen, boolean locked, int mediaEvent)
      implements UnitState {
    public Dvd {
      attentions = List.copyOf(attentions);
    }
  }
}
