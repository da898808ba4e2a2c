// Uploads DICOM files for de-identification.
//
// Usage: uploader HOST:PORT TARGET OUT FILE...
//
// DEIDCASCADE_KEY_FILE names the file with the API key and, for TLS, DEIDCASCADE_TLS_CA that
// with the authorities to trust. Prints a line of JSON for each file. Exit code 1: a file was
// rejected, or the upload was refused.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "uploader/deidcascade/v1"
)

const (
	chunkBytes  = 256 * 1024
	patience    = time.Minute
	firstWait   = 200 * time.Millisecond
	longestWait = 5 * time.Second
)

// result is what became of a file.
type result struct {
	File     string `json:"file"`
	Output   string `json:"output,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Rejected string `json:"rejected,omitempty"`
	Message  string `json:"message,omitempty"`
}

// passes tells what passes by itself: a service that restarts, or has no room. Sending again
// is safe.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled, codes.ResourceExhausted:
		return true
	}
	return false
}

// send sends the target, and then file after file, without waiting for answers.
func send(stream pb.DeidService_DeidentifyClient, target string, files []string) error {
	open := &pb.OpenStream{Target: target}
	if err := stream.Send(&pb.DeidentifyRequest{Message: &pb.DeidentifyRequest_Open{Open: open}}); err != nil {
		return err
	}
	for number, name := range files {
		if err := sendFile(stream, strconv.Itoa(number), name); err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

func sendFile(stream pb.DeidService_DeidentifyClient, id, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	start := &pb.FileStart{FileId: id, Filename: filepath.Base(name), Size: uint64(info.Size())}
	if err := stream.Send(&pb.DeidentifyRequest{Message: &pb.DeidentifyRequest_File{File: start}}); err != nil {
		return err
	}
	for {
		// A new one each time: gRPC may still hold the one before.
		buffer := make([]byte, chunkBytes)
		count, err := file.Read(buffer)
		if count > 0 {
			chunk := &pb.DeidentifyRequest_Chunk{Chunk: buffer[:count]}
			if err := stream.Send(&pb.DeidentifyRequest{Message: chunk}); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	end := &pb.DeidentifyRequest_FileEnd{FileEnd: &pb.FileEnd{}}
	return stream.Send(&pb.DeidentifyRequest{Message: end})
}

// free returns a path that is not taken.
func free(out, name string) string {
	found := filepath.Join(out, name)
	extension := filepath.Ext(name)
	for number := 2; ; number++ {
		if _, err := os.Lstat(found); errors.Is(err, os.ErrNotExist) {
			return found
		}
		found = filepath.Join(out, fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, extension), number, extension))
	}
}

// receive writes outputs, and tells what became of each file, in the order they were sent.
func receive(stream pb.DeidService_DeidentifyClient, out string, tell func(result)) error {
	part := filepath.Join(out, fmt.Sprintf(".%d.part", os.Getpid()))
	var output *os.File
	var name string
	hash := sha256.New()
	defer func() {
		if output != nil {
			output.Close()
		}
	}()
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch message := answer.Message.(type) {
		case *pb.DeidentifyResponse_File:
			name = message.File.SuggestedFilename
			hash.Reset()
			if output, err = os.Create(part); err != nil {
				return err
			}
		case *pb.DeidentifyResponse_Chunk:
			hash.Write(message.Chunk)
			if _, err := output.Write(message.Chunk); err != nil {
				return err
			}
		case *pb.DeidentifyResponse_Result:
			if output != nil {
				if err := output.Close(); err != nil {
					return err
				}
				output = nil
			}
			receipt := message.Result.GetReceipt()
			if receipt == nil {
				os.Remove(part)
				rejection := message.Result.GetRejection()
				tell(result{Rejected: rejection.GetReason().String(), Message: rejection.GetMessage()})
				continue
			}
			// Complete from here on: only now it gets its name.
			digest := hash.Sum(nil)
			wanted, _ := hex.DecodeString(receipt.Sha256)
			if !bytes.Equal(digest, wanted) {
				return errors.New("what arrived is not what was sent")
			}
			if name == "" {
				name = message.Result.FileId + ".dcm"
			}
			found := free(out, name)
			if err := os.Rename(part, found); err != nil {
				return err
			}
			tell(result{Output: filepath.Base(found), SHA256: receipt.Sha256})
		}
	}
}

// upload sends files until each has a result; tells whether none was rejected.
func upload(client pb.DeidServiceClient, key, target, out string, files []string) (bool, error) {
	well, done := true, 0
	wait, until := firstWait, time.Now().Add(patience)
	for done < len(files) {
		ctx, cancel := context.WithCancel(
			metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+key))
		stream, err := client.Deidentify(ctx)
		if err == nil {
			sent := make(chan error, 1)
			go func(left []string) {
				err := send(stream, target, left)
				// The stream has broken: why, the answers say.
				if err != nil && err != io.EOF {
					cancel()
				}
				sent <- err
			}(files[done:])
			err = receive(stream, out, func(one result) {
				one.File = files[done]
				line, _ := json.Marshal(one)
				fmt.Println(string(line))
				well = well && one.Rejected == ""
				done++
				wait, until = firstWait, time.Now().Add(patience)
			})
			cancel()
			// A file that cannot be read is the reason, where there was one.
			if unread := <-sent; status.Code(err) == codes.Canceled && unread != nil && unread != io.EOF {
				err = unread
			}
		}
		cancel()
		if err == nil {
			continue
		}
		if !passes(err) || time.Now().After(until) {
			return false, err
		}
		// Spread, so that all callers of a service do not come back at once.
		time.Sleep(time.Duration(float64(wait) * (0.5 + rand.Float64()/2)))
		if wait *= 2; wait > longestWait {
			wait = longestWait
		}
	}
	return well, nil
}

func run(address, target, out string, files []string) (bool, error) {
	key, err := os.ReadFile(os.Getenv("DEIDCASCADE_KEY_FILE"))
	if err != nil {
		return false, err
	}
	transport := insecure.NewCredentials()
	if authorities := os.Getenv("DEIDCASCADE_TLS_CA"); authorities != "" {
		if transport, err = credentials.NewClientTLSFromFile(authorities, ""); err != nil {
			return false, err
		}
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return false, err
	}
	connection, err := grpc.Dial(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return false, err
	}
	defer connection.Close()
	return upload(pb.NewDeidServiceClient(connection), strings.TrimSpace(string(key)), target, out, files)
}

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "Usage: uploader HOST:PORT TARGET OUT FILE...")
		os.Exit(2)
	}
	well, err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || !well {
		os.Exit(1)
	}
}
