// A small and complete receiver of callbacks in Go, without dependencies.
//
//	CALLBACK_SECRET=whsec_... go run receiver.go 8080 callbacks
//
// It verifies the signature of the raw body, stores each callback once in a folder by its
// webhook-id, answers, and only then processes it. When it starts, it resumes unfinished callbacks.
// It forgets ids once the same callback can no longer come. It listens only on this machine: put an
// HTTPS server in front.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const mostBytes = 50_000_000 // the largest callback that the service sends

// remembered is how long to remember an id: the 60 hours that a batch lives, and a margin. Increase
// it if batches of your service live longer (EXPIRY_HOURS).
const remembered = (60 + 12) * time.Hour

// work processes a callback: replace this with your own code. If it fails or the machine goes down,
// it gets the callback again.
func work(body []byte) error {
	var callback struct {
		AsyncID string            `json:"asyncId"`
		Results []json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(body, &callback); err != nil {
		return err
	}
	fmt.Println(callback.AsyncID, len(callback.Results), "results")
	return nil
}

// keyOf returns the key in a secret, or nil if the secret is empty, too short or malformed.
func keyOf(secret string) []byte {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	isWhole := err == nil && secret == "whsec_"+base64.StdEncoding.EncodeToString(key)
	if !isWhole || len(key) < 24 || len(key) > 64 {
		return nil
	}
	return key
}

// isGenuine reports whether exactly this body was signed with the secret in the last five minutes.
func isGenuine(header http.Header, body []byte, secret string) bool {
	key := keyOf(secret)
	id, sentAt := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseUint(sentAt, 10, 40)
	if key == nil || id == "" || err != nil {
		return false
	}
	if time.Since(time.Unix(int64(seconds), 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, sentAt)
	mac.Write(body)
	wanted := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, one := range strings.Split(header.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(one), []byte(wanted)) {
			return true
		}
	}
	return false
}

type receiver struct {
	secret, folder string
	changing       sync.Mutex // guards which callbacks are waiting and which are done
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if status := refusal(request); status != 0 {
		w.WriteHeader(status)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, mostBytes))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !isGenuine(request.Header, body, r.secret) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	file := filepath.Join(r.folder, url.QueryEscape(request.Header.Get("webhook-id")))
	isNew, err := r.put(file, body)
	if err != nil {
		log.Print(err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	if isNew {
		go r.workOff(file)
	}
}

// refusal returns the status for a request whose body is not read, or 0.
func refusal(request *http.Request) int {
	switch {
	case request.Method != http.MethodPost:
		return http.StatusMethodNotAllowed
	case request.ContentLength < 0:
		return http.StatusLengthRequired
	case request.ContentLength > mostBytes:
		return http.StatusRequestEntityTooLarge
	}
	return 0
}

// put stores a callback, completely or not at all, and reports whether it is new.
func (r *receiver) put(file string, body []byte) (bool, error) {
	unfinished, err := os.CreateTemp(r.folder, "unfinished-")
	if err != nil {
		return false, err
	}
	unfinished.Close()
	defer os.Remove(unfinished.Name())
	if err := os.WriteFile(unfinished.Name(), body, 0o600); err != nil {
		return false, err
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	if _, err := os.Stat(file + ".done"); err == nil {
		return false, nil
	}
	err = os.Link(unfinished.Name(), file+".json")
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func (r *receiver) workOff(file string) {
	body, err := os.ReadFile(file + ".json")
	if err == nil {
		err = work(body)
	}
	if err == nil {
		err = r.finish(file)
	}
	if err != nil {
		log.Print(err)
	}
}

// finish keeps only the callback's id and the time.
func (r *receiver) finish(file string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := os.Rename(file+".json", file+".done"); err != nil {
		return err
	}
	return os.Truncate(file+".done", 0)
}

func (r *receiver) takeUp() {
	waiting, _ := filepath.Glob(filepath.Join(r.folder, "*.json"))
	for _, file := range waiting {
		r.workOff(strings.TrimSuffix(file, ".json"))
	}
}

// forget removes the ids of callbacks that were processed too long ago to come again, now and every
// hour.
func (r *receiver) forget() {
	for ; ; time.Sleep(time.Hour) {
		done, _ := filepath.Glob(filepath.Join(r.folder, "*.done"))
		for _, file := range done {
			if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > remembered {
				os.Remove(file)
			}
		}
	}
}

func main() {
	secret := os.Getenv("CALLBACK_SECRET")
	if len(os.Args) != 3 || keyOf(secret) == nil {
		log.Fatal("Usage: CALLBACK_SECRET=whsec_... receiver PORT FOLDER, with a full secret")
	}
	if err := os.MkdirAll(os.Args[2], 0o700); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	r := &receiver{secret: secret, folder: os.Args[2]}
	r.takeUp()
	go r.forget()
	fmt.Printf("listening on http://%s\n", listener.Addr())
	server := http.Server{Handler: r, ReadTimeout: time.Minute}
	log.Fatal(server.Serve(listener))
}
