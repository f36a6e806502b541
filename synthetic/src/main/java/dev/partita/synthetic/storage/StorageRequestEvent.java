package dev.partita.synthetic.storage;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Threshold;

/// A slow request, in a flight recording: `jcmd PID JFR.start`.
@Name("dev.partita.StorageRequest")
@Label("Storage Request")
@Description("A SCSI command of a guest, from the moment a thread takes it to its answer")
@Category({"Partita", "Storage"})
@StackTrace(false)
@Threshold("20 ms")
final class StorageRequestEvent extends Event {
  @Label("Channel")
  int channel;

  @Label("LUN")
  int lun;

  @Label("Command")
  @Description("The command descriptor block, in hexadecimal")
  String command = "";

  @Label("Transferred")
  @DataAmount
  long transferred;

  @Label("Status")
  @Description("SCSI status: 0 good, 2 check condition")
  int status;

  @Label("Sense")
  @Description("Sense key, additional sense code and qualifier; empty without sense data")
  String sense = "";
}
