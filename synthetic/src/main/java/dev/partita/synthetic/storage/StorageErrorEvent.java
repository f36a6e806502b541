package dev.partita.synthetic.storage;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A request that the host did not fulfil, in a flight recording.
@Name("dev.partita.StorageError")
@Label("Storage Error")
@Description("The host could not read or write a disk's file")
@Category({"Partita", "Storage"})
@StackTrace(false)
final class StorageErrorEvent extends Event {
  @Label("Disk")
  String disk = "";

  @Label("Action")
  String action = "";

  @Label("Sector")
  long sector;

  @Label("Reason")
  String reason = "";
}
